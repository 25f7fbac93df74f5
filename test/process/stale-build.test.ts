import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startIslet } from '../support/islet-process.ts';
import { createNewApp } from '../support/new-app.ts';

const needsBuild = !(process.features as { typescript?: unknown }).typescript;

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'islet-stale-'));
  for (const file of ['config/index.ts', 'queues/mail/manifest.ts']) put(file, 'export default {};\n');
  put('package.json', '{ "type": "module" }\n');
  mkdirSync(join(root, 'node_modules'));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

test.each([
  ['a source is not compiled', ['dist/config/index.js'], 'queues/mail/manifest.ts is not compiled'],
  [
    'a removed task is still compiled',
    ['dist/config/index.js', 'dist/queues/mail/manifest.js', 'dist/tasks/gone/task.js'],
    'dist/tasks/gone no longer has a source',
  ],
])('refuses to start in production, when %s', async (_, compiled, reason) => {
  put('tsconfig.json', '{}\n');
  for (const file of compiled) put(file, '');
  expect(await startWorker()).toEqual({
    code: 1,
    stdout: '',
    stderr:
      `E_BUILD_STALE: The code in dist/ was not compiled from the present sources: ${reason}. ` +
      'Nothing was started. Remove dist/ and run "npm run build" first.\n',
  });
});

test.runIf(needsBuild)('refuses to start in production without dist/, on a Node that runs no TypeScript', async () => {
  put('tsconfig.json', '{}\n');
  expect(await startWorker()).toEqual({
    code: 1,
    stdout: '',
    stderr:
      `E_BUILD_STALE: There is no dist/, and Node ${process.version} cannot run TypeScript; Node 22.18 and newer can. ` +
      'Nothing was started. Run "npm run build" first.\n',
  });
});

test.runIf(needsBuild)('names the file that cannot be imported, where not even a tsconfig.json is', async () => {
  expect(await startWorker()).toEqual({
    code: 1,
    stdout: '',
    stderr:
      `E_BUILD_STALE: ${join(root, 'config/index.ts')} is not compiled, and Node ${process.version} cannot run TypeScript; ` +
      'Node 22.18 and newer can. Run "npm run build" first.\n',
  });
});

test('a time stamp makes nothing stale in production, and content does', async () => {
  const app = await createNewApp();
  const production = { NODE_ENV: 'production' };
  try {
    await app.write('lib/name.ts', "export const name = 'a';\n");
    await app.write('queues/mail/hooks.ts', "export { name } from '../../lib/name.ts';\nexport default () => ({});\n");
    expect(await app.islet(['compile'], production)).toEqual({ code: 0, stdout: '', stderr: '' });
    for (const file of ['lib/name.ts', 'tsconfig.json', 'tasks/send-welcome/task.ts']) {
      utimesSync(join(app.root, file), 4e9, 4e9);
    }
    expect(await app.islet(['check'], production)).toMatchObject({ code: 0, stderr: '' });
    await app.write('lib/name.ts', "export const name = 'b';\n");
    utimesSync(join(app.root, 'lib/name.ts'), 1, 1);
    const { code, stderr } = await app.islet(['check'], production);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^E_BUILD_STALE: .* from the present sources: lib\/name\.ts has changed\. Nothing/);
    await app.write('lib/name.ts', 'export const name: number = "c";\n');
    expect((await app.islet(['compile'], production)).stderr).toMatch(
      /^E_BUILD_FAILED: The build failed\.\nlib\/name\.ts\(1,14\): error TS2322: .*\nThe previous dist\/ stays\.\n$/s,
    );
  } finally {
    await app.close();
  }
}, 60_000);

test.skipIf(needsBuild).each([
  ['an enum', { 'config/index.ts': 'export enum Kind { a }\nexport default {};\n' }, 'config/index.ts'],
  [
    'a decorator',
    { 'config/index.ts': 'const mark = () => {};\n@mark class A {}\nexport default A;\n' },
    'config/index.ts',
  ],
  [
    'JSX',
    { 'config/index.ts': "import './a.tsx';\nexport default {};\n", 'config/a.tsx': '<p />;\n' },
    'config/index.ts',
  ],
])('says "compile first" where sources run and one has %s', async (_, files, named) => {
  for (const [file, text] of Object.entries(files)) put(file, text);
  const { code, stderr } = await startWorker();
  expect(stderr).toContain(
    `E_BUILD_STALE: ${join(root, named)} is not compiled, and has or imports what only a compiler`,
  );
  expect(stderr).toContain('Run "npm run build" first.');
  expect(code).toBe(1);
});

async function startWorker() {
  const env = { NODE_ENV: 'production', REDIS_URL: 'redis://127.0.0.1:1' };
  const worker = startIslet(['worker', '--queue', 'mail'], { cwd: root, env });
  const { code } = await worker.exited;
  return { code, stdout: worker.stdout(), stderr: worker.stderr() };
}

function put(name: string, text: string): void {
  const file = join(root, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
