import type { Files } from './files.ts';

const queueManifest = `import { defineQueue } from 'islet';

export default defineQueue({ name: 'mail', concurrency: 10 });
`;

const dependencies = `import { asFunction } from 'awilix';
import type { DependenciesOf, QueueHost } from 'islet/task';
import type { AppConfig } from '../../config/schema.ts';
import { createMailer } from './mailer.ts';

/** What the tasks of this queue share. Loaded only in its worker; singletons are made before the first job. */
export default function dependencies({ config }: QueueHost<AppConfig>) {
  return { mailer: asFunction(() => createMailer(config.mail.folder)).singleton() };
}

export type Dependencies = DependenciesOf<typeof dependencies>;
`;

const mailer = `import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface Mail {
  /** Names this mail: a second one of the same key changes nothing. */
  key: string;
  to: string;
  subject: string;
  text: string;
}

export interface Mailer {
  send(mail: Mail): Promise<void>;
}

/** Writes each mail into a file, for a start. A real mailer gives \`key\` to its provider as the idempotency key. */
export function createMailer(folder: string): Mailer {
  return {
    async send(mail) {
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, \`\${mail.key}.json\`), \`\${JSON.stringify(mail, null, 2)}\\n\`);
    },
  };
}
`;

const taskManifest = `import { defineTask } from 'islet';
import * as v from 'valibot';

export default defineTask({
  name: 'send-welcome',
  queue: 'mail',
  payload: v.object({
    userId: v.pipe(v.string(), v.regex(/^[\\w-]{1,100}$/)),
    email: v.pipe(v.string(), v.email()),
  }),
  result: v.object({ sentTo: v.string() }),
});
`;

const task = `import { implement, type TaskContext } from 'islet/task';
import type { Dependencies } from '../../queues/mail/dependencies.ts';
import manifest from './manifest.ts';

export default implement(manifest, async ({ userId, email }, { deps }: TaskContext<Dependencies>) => {
  // A job whose worker dies runs again: the key keeps that from becoming a second mail.
  const key = \`welcome-\${userId}\`;
  await deps.mailer.send({ key, to: email, subject: 'Welcome', text: 'It is good to have you here.' });
  return { sentTo: email };
});
`;

const taskTest = `import { expectIdempotent, runTask } from 'islet/testing';
import { expect, test } from 'vitest';
import type { Mail } from '../../queues/mail/mailer.ts';
import task from './task.ts';

const payload = { userId: '1', email: 'ada@example.com' };

/** A mailer that remembers what was sent; like a real one, it sends one mail of a key. */
function createFakes() {
  const sent = new Map<string, Mail>();
  const send = async (mail: Mail) => void sent.set(mail.key, mail);
  return { sent, mailer: { send } };
}

test('sends the mail to the user', async () => {
  const { sent, mailer } = createFakes();
  const outcome = await runTask(task, payload, { deps: { mailer } });
  expect(outcome).toEqual({ kind: 'completed', result: { sentTo: 'ada@example.com' } });
  expect(sent.get('welcome-1')).toMatchObject({ to: 'ada@example.com', subject: 'Welcome' });
});

test('sends one mail, however often it runs and wherever it is interrupted', async () => {
  await expectIdempotent(task, payload, { deps: createFakes, effects: ({ sent }) => sent });
});

test('refuses what is no mail address', async () => {
  expect(await runTask(task, { ...payload, email: 'ada' })).toMatchObject({ kind: 'failed' });
});
`;

const appTest = `import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTask } from 'islet/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import config from '../config/index.ts';
import { createMailer } from '../queues/mail/mailer.ts';
import sendWelcome from '../tasks/send-welcome/task.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outbox-'));
});

afterEach(() => rm(folder, { recursive: true }));

test('the settings hold', () => {
  expect(config.mail.folder).not.toBe('');
});

test('a welcome mail arrives in the outbox', async () => {
  const deps = { mailer: createMailer(folder) };
  await runTask(sendWelcome, { userId: '1', email: 'ada@example.com' }, { deps });
  const mail = JSON.parse(await readFile(join(folder, 'welcome-1.json'), 'utf8'));
  expect(mail).toMatchObject({ to: 'ada@example.com', subject: 'Welcome' });
});
`;

/** The first queue of a new app, its first task, and their tests. */
export function exampleFiles(): Files {
  return {
    'queues/mail/manifest.ts': queueManifest,
    'queues/mail/dependencies.ts': dependencies,
    'queues/mail/mailer.ts': mailer,
    'tasks/send-welcome/manifest.ts': taskManifest,
    'tasks/send-welcome/task.ts': task,
    'tasks/send-welcome/task.test.ts': taskTest,
    'test/app.test.ts': appTest,
  };
}

/** A payload that the first task takes, as JSON for a shell. */
export const examplePayload = `'{"userId":"1","email":"ada@example.com"}'`;
