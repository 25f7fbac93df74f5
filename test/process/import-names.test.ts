import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { killAll } from '../support/islet-process.ts';
import { createNewApp, type NewApp } from '../support/new-app.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';

vi.setConfig({ testTimeout: 60_000 });

let app: NewApp;
let place: RedisPlace;
const file = 'tasks/send-welcome/task.ts';

beforeEach(async () => {
  app = await createNewApp();
  place = openRedisPlace();
  await app.write('lib/names/deep.ts', "export const name = 'by a name';\n");
});

afterEach(async () => {
  await killAll();
  await place.close();
  await app.close();
});

/** Lets the task import this, and return it. */
async function importName(specifier: string): Promise<void> {
  const text = await readFile(join(app.root, file), 'utf8');
  await app.write(
    file,
    `import { name } from '${specifier}';\n${text.replace(/return .*;/, 'return { sentTo: name };')}`,
  );
}

async function edit(name: string, change: (value: never) => void): Promise<void> {
  const value = JSON.parse(await readFile(join(app.root, name), 'utf8')) as never;
  change(value);
  await app.write(name, JSON.stringify(value));
}

test('a name of package.json leads to sources in tests, and to compiled code where that runs', async () => {
  await edit('package.json', (value: { imports: object }) => {
    value.imports = { '#lib/*': './lib/*.ts', '#mailer': { default: './queues/mail/mailer.ts' }, '#redis': 'ioredis' };
  });
  await importName('#lib/names/deep');
  expect(await app.islet(['check'])).toMatchObject({ code: 0 });
  const payload = '{"userId":"1","email":"ada@example.com"}';
  await app.write('alias.test.ts', TEST);
  await app.tool('vitest/vitest.mjs', 'run', 'alias.test.ts');

  const worker = app.start(['worker', '--queue', 'mail'], place.env);
  await worker.line({ msg: 'Worker ready' });
  const sent = await app.islet(['enqueue', 'send-welcome', payload, '--wait'], place.env);
  expect(sent.stdout).toContain('by a name');
  await worker.stop();

  const built = await app.islet(['build', '--queue', 'mail', '--out', '../mail']);
  expect(built.stderr).toBe('');
  const code = await readdir(join(app.root, '../mail'));
  const tasks = code.filter((name) => /^task-.*\.js$/.test(name));
  const texts = await Promise.all(tasks.map((name) => readFile(join(app.root, '../mail', name), 'utf8')));
  expect(texts.join('\n')).toContain('by a name');
});

const TEST = `
import { name } from '#lib/names/deep';
import { expect, test } from 'vitest';
test('is there', () => expect(name).toBe('by a name'));
`;

test('a name of tsconfig.json is refused by each command with the same advice', async () => {
  await edit('tsconfig.json', (value: { compilerOptions: object }) =>
    Object.assign(value.compilerOptions, { paths: { '@lib/*': ['./lib/*.ts'] } }),
  );
  await importName('@lib/names/deep');
  const advice =
    'tasks/send-welcome/task.ts:1 imports "@lib/names/deep", a name that tsconfig.json gives to the compiler alone ' +
    '("paths"). Import "#lib/names/deep", and write "imports": { "#lib/*": "./lib/*.ts" } into package.json: ' +
    'the compiler, Node and test tools know such names.';
  for (const args of [
    ['check'],
    ['compile'],
    ['worker', '--queue', 'mail'],
    ['build', '--queue', 'mail', '--out', 'build/mail'],
  ]) {
    const { code, stderr } = await app.islet(args, place.env);
    expect([code, stderr], args.join(' ')).toEqual([1, expect.stringContaining(advice)]);
  }
  const dev = app.start(['dev'], place.env);
  await vi.waitFor(() => expect(dev.stderr()).toContain(`${advice}\nNot compiled.`), { timeout: 20_000, interval: 20 });
  await dev.stop();
  // The advice is followed.
  await importNameInstead();
  expect(await app.islet(['check'])).toMatchObject({ code: 0 });
});

async function importNameInstead(): Promise<void> {
  const text = await readFile(join(app.root, file), 'utf8');
  await app.write(file, text.replace('@lib/', '#lib/'));
  await edit('package.json', (value: { imports: object }) => {
    value.imports = { '#lib/*': './lib/*.ts' };
  });
}
