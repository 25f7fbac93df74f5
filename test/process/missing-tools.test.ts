import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type IsletProcess, killAll, repository, startIslet, within } from '../support/islet-process.ts';
import { createNewApp, type NewApp } from '../support/new-app.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';

const tools = ['@clack', '@vercel', 'esbuild', 'pino-pretty'];

let app: NewApp;
let place: RedisPlace;
let ranges: Record<string, string>;

const installed = (name: string) => join(app.root, 'node_modules', name);

/** Puts Islet there as it is installed: its published files, beside the packages that the app has. */
async function installIslet(): Promise<void> {
  await rm(installed('islet'));
  for (const part of ['package.json', 'bin', 'dist/src', 'templates']) {
    await mkdir(join(installed('islet'), part, '..'), { recursive: true });
    await cp(join(repository, part), join(installed('islet'), part), { recursive: true });
  }
}

beforeAll(async () => {
  app = await createNewApp();
  place = openRedisPlace();
  await installIslet();
  for (const tool of tools) await rm(installed(tool));
  ranges = JSON.parse(await readFile('package.json', 'utf8')).peerDependencies;
}, 60_000);

afterEach(killAll);

afterAll(async () => {
  await place.close();
  await app.close();
});

/** Starts the app's own Islet, on a terminal or not, as somebody's shell does. */
function start(args: string[], { onTerminal = false } = {}): IsletProcess {
  const env = { ...place.env, NODE_ENV: undefined, VITEST: undefined };
  const islet = [process.execPath, 'node_modules/islet/bin/islet.js', ...args];
  const line = onTerminal ? ['script', '-qec', islet.join(' '), '/dev/null'] : islet;
  const [program = '', ...rest] = line;
  return startIslet(rest, { cwd: app.root, env, command: [program] });
}

async function run(args: string[], options = {}) {
  const islet = start(args, options);
  const { code } = await within(islet.exited, 60_000, `islet ${args.join(' ')}`);
  return { code, stdout: islet.stdout(), stderr: islet.stderr() };
}

const install = (...names: string[]) =>
  `npm install --save-dev ${names.map((name) => `${name}@${ranges[name]}`).join(' ')}`;

describe('islet build', () => {
  const build = ['build', '--queue', 'mail', '--out', 'build/mail'];

  test('builds nothing, and names the packages that it needs', async () => {
    expect(await run(build)).toEqual({
      code: 1,
      stdout: '',
      stderr:
        'E_TOOL_MISSING: islet build needs the packages "esbuild" and "@vercel/nft", which are not installed. Nothing was ' +
        `built. Run "${install('esbuild', '@vercel/nft')}".\n`,
    });
    expect(existsSync(join(app.root, 'build'))).toBe(false);
  });

  test('names one package, where the other is installed', async () => {
    await symlink(join(repository, 'node_modules/esbuild'), installed('esbuild'));
    expect((await run(build)).stderr).toBe(
      'E_TOOL_MISSING: islet build needs the package "@vercel/nft", which is not installed. Nothing was built. Run ' +
        `"${install('@vercel/nft')}".\n`,
    );
    await rm(installed('esbuild'));
  });
});

// A terminal is made by the `script` of util-linux, which every Linux has.
describe.runIf(process.platform === 'linux')('on a terminal that nothing can ask on', () => {
  test('generate says what to give', async () => {
    const { code, stdout } = await run(['generate', 'task'], { onTerminal: true });
    expect(stdout.trim()).toBe(
      'E_TOOL_MISSING: To ask, islet generate needs the package "@clack/prompts", which is not installed. The task\'s ' +
        'name is missing. Queues of this app: mail. Nothing was written. Give it: islet generate task <name> --queue ' +
        `<queue>. Or run "${install('@clack/prompts')}".`,
    );
    expect(code).toBe(1);
  });

  test('destroy removes nothing', async () => {
    const { code, stdout } = await run(['destroy', 'task', 'send-welcome'], { onTerminal: true });
    expect(stdout.trim().split('\n').at(-1)).toBe(
      'E_TOOL_MISSING: To ask first, islet destroy needs the package "@clack/prompts", which is not installed. Nothing ' +
        `was removed. Give --yes to remove it. Or run "${install('@clack/prompts')}".`,
    );
    expect(code).toBe(1);
    expect(existsSync(join(app.root, 'tasks/send-welcome/task.ts'))).toBe(true);
  });
});

test('islet dev shows the lines as JSON, and says once how to get readable ones', async () => {
  const dev = start(['dev']);
  await dev.line({ msg: 'Worker ready' }, 60_000);
  const hint = `Logs are shown as JSON. To read them more easily: ${install('pino-pretty')}\n`;
  expect(dev.stderr().split(hint)).toHaveLength(2);
  expect((await dev.stop()).code).toBe(0);
}, 90_000);

test('what needs no tool works: generate and destroy by flags, check, a worker that runs a job, the tests', async () => {
  expect(await run(['generate', 'task', 'send-bill', '--queue', 'mail'])).toMatchObject({ code: 0, stderr: '' });
  expect(await app.tool('vitest/vitest.mjs', 'run')).toMatch(/Test Files {2}3 passed/);
  expect(await run(['destroy', 'task', 'send-bill', '--yes'])).toMatchObject({ code: 0, stderr: '' });
  expect(await run(['check'])).toMatchObject({ code: 0 });
  const worker = start(['worker', '--queue', 'mail']);
  await worker.line({ msg: 'Worker ready' }, 30_000);
  const { stdout } = await run(['enqueue', 'send-welcome', '{"userId":"7","email":"ada@example.com"}', '--wait']);
  expect(JSON.parse(stdout)).toEqual({ sentTo: 'ada@example.com' });
  expect((await worker.stop()).code).toBe(0);
}, 120_000);
