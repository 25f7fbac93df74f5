import { mkdtemp, readFile, rm } from 'node:fs/promises';
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
