import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { findRedisServer } from '../../src/tools/dev-redis/find-redis.ts';
import { listTemplates } from '../../src/tools/scaffold/template.ts';
import { killAll, startIslet } from '../support/islet-process.ts';
import { openRedisPlace } from '../support/redis-place.ts';

const run = promisify(execFile);

/** What `npm pack --json` tells of a package. */
interface Packed {
  filename: string;
  size: number;
  unpackedSize: number;
  files: { path: string }[];
}

const folder = mkdtempSync(join(tmpdir(), 'islet-pack-'));
/** The new app, which the cases below use one after the other. */
const app = join(folder, 'my-workers');
const islet = join('node_modules', 'islet', 'bin', 'islet.js');
let packed: Packed;

/** The environment of a newcomer's shell, without the test run's own variables and without the place of a Redis. */
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(npm_(package|lifecycle)_|NODE_|VITEST|REDIS_|LOG_)/.test(name)),
);

/** Runs a command in the app, and throws what it said when it fails. */
async function inApp(program: string, ...args: string[]): Promise<string> {
  try {
    const { stdout, stderr } = await run(program, args, { cwd: app, env });
    return stdout + stderr;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${[program, ...args].join(' ')} failed:\n${stdout}${stderr}`);
  }
}

const install = (...args: string[]) => inApp('npm', 'install', '--prefer-offline', ...args);

/** Makes the app with the packed code, which finds the packages that it imports in this repository. */
async function init(tarball: string): Promise<void> {
  await run('tar', ['-xzf', tarball, '-C', folder]);
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
  mkdirSync(app);
  await inApp(process.execPath, join(folder, 'package', 'bin', 'islet.js'), 'init', '.');
  rmSync(join(folder, 'node_modules'));
  await install(tarball);
}

/** Finds a Node that runs TypeScript: this one, or one that is installed and kept for the next test run. */
async function findNode22(): Promise<string> {
  if ((process.features as { typescript?: unknown }).typescript) return process.execPath;
  const { installNode } = await import(pathToFileURL(resolve('bin/install-node.js')).href);
  return installNode('22');
}

let node22: string;

beforeAll(async () => {
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], { env });
  // The build that npm runs first may write lines of its own.
  [packed] = JSON.parse(stdout.slice(stdout.indexOf('['))) as [Packed];
  node22 = await findNode22();
  await init(join(folder, packed.filename));
  await findRedisServer(resolve('.'), process.env.PATH);
  const unpacked = resolve('.islet', 'redis-server');
  mkdirSync(join(app, '.islet'), { recursive: true });
  if (existsSync(unpacked)) symlinkSync(unpacked, join(app, '.islet', 'redis-server'));
}, 300_000);

afterEach(() => killAll());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the package', () => {
  test('holds the command, the compiled framework with its types, the templates, and the documents', () => {
    const shipped = packed.files.map(({ path }) => path);
    const modules = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
    const code = modules.flatMap((file) => ['.js', '.d.ts'].map((to) => `dist/src/${file.replace(/\.ts$/, to)}`));
    const docs = readdirSync('docs').map((file) => `docs/${file}`);
    const templates = listTemplates('.').map((file) => `templates/${file}`);
    const bin = ['compiled-from', 'compiler-input', 'fresh-build', 'import-names', 'islet', 'watch-build'].map(
      (name) => `bin/${name}.js`,
    );
    const cjs = readdirSync('cjs').map((file) => `cjs/${file}`);
    const papers = ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json'];
    expect(shipped.sort()).toEqual([...papers, ...bin, ...cjs, ...code, ...templates, ...docs].sort());
  });

  test('stays small', () => {
    expect(packed.size).toBeLessThan(450_000);
    expect(packed.unpackedSize).toBeLessThan(1_450_000);
  });

  test.each([
    ['NodeNext', ['--module', 'NodeNext']],
    ['bundler', ['--module', 'ESNext', '--moduleResolution', 'bundler', '--skipLibCheck']],
  ])(
    'brings its types to a program with the module resolution "%s"',
    async (_, flags) => {
      mkdirSync(join(app, 'src'), { recursive: true });
      writeFileSync(join(app, 'src', 'consumer.ts'), consumer);
      const options = ['--strict', '--noEmit', '--rewriteRelativeImportExtensions', '--target', 'ES2023', ...flags];
      await inApp('npx', 'tsc', '--ignoreConfig', '--types', 'node', ...options, 'src/consumer.ts');
      rmSync(join(app, 'src'), { recursive: true });
    },
    60_000,
  );
});

const consumer = `
import { defineTask, TaskFailedError } from 'islet';
import { isletSettings } from 'islet/config';
import { createProducer } from 'islet/producer';
import { implement, type TaskContext } from 'islet/task';
import { runTask } from 'islet/testing';
import sendWelcome from '../tasks/send-welcome/manifest.ts';

export const settings: object = isletSettings;
const producer = createProducer({ redis: 'redis://127.0.0.1:6379' });
const job = await producer.enqueue(sendWelcome, { userId: '1', email: 'ada@example.com' }, { keepResultMs: 1_000 });
export const sentTo: string = (await job.result({ timeoutMs: 1_000 })).sentTo;
// @ts-expect-error a payload that the manifest refuses
await producer.enqueue(sendWelcome, { userId: 1 });
export const task = implement(sendWelcome, async ({ email }, { signal }: TaskContext<object>) => {
  signal.throwIfAborted();
  return { sentTo: email };
});
export const outcome: string = (await runTask(task, { userId: '1', email: 'ada@example.com' })).kind;
export const parts = [defineTask, TaskFailedError];
`;

test('a new app passes its own tests as it was made', async () => {
  expect(await inApp('npm', 'test')).toMatch(/Tests .*5 passed/);
}, 60_000);

test('20 tasks generated in a row over 5 queues pass their tests and the check without an edit', async () => {
  const flags = [
    [],
    ['--delivery', 'at-most-once'],
    ['--attempts', '5', '--timeout', '30s'],
    ['--rare', '--pool', 'thread'],
    ['--pool', 'process'],
  ];
  const queues = ['mail', 'reports', 'images', 'exports', 'imports'];
  const took: number[] = [];
  for (let n = 0; n < 20; n++) {
    const queue = queues[n % 5] ?? '';
    const name = `do-thing-${n + 1}`;
    const args = ['task', name, '--queue', queue, '--create-queue', ...(flags[Math.floor(n / 4)] ?? [])];
    const startedAt = performance.now();
    const said = await inApp(process.execPath, islet, 'generate', ...args);
    took.push(performance.now() - startedAt);
    // Nothing else is said, neither on standard output nor on standard error.
    expect(said).toMatch(new RegExp(`^Wrote:\\n[^:]*\\nNext:\\n.*\\n.* enqueue -- ${name} '.*'\\n$`));
  }
  took.sort((a, b) => a - b);
  console.log(`islet generate: median ${took[10]?.toFixed(0)} ms, slowest ${took[19]?.toFixed(0)} ms`);
  expect(took[10]).toBeLessThan(1_000);
  // The check compiles, lints, checks, and then runs what `npm test` runs.
  expect(await inApp('npm', 'run', 'check')).toMatch(/Test Files .*22 passed/);
}, 180_000);

describe('a job runs through Redis', () => {
  const payload = '{"userId":"7","email":"ada@example.com"}';

  /** Starts a worker and enqueues a job as a user does; returns what the job's log line tells. */
  async function runJob(
    command: [string, ...string[]],
    enqueue: [string, ...string[]],
    more = {},
    args = ['--queue', 'mail'],
  ) {
    const options = { cwd: app, env: { NODE_ENV: undefined, ...more } };
    const worker = startIslet(args, { ...options, command });
    await worker.line({ msg: 'Worker ready' }, 30_000);
    const enqueued = startIslet(['send-welcome', payload, '--wait'], { ...options, command: enqueue });
    expect(await enqueued.exited, enqueued.stderr()).toEqual({ code: 0, signal: null });
    expect(enqueued.stdout()).toContain('"sentTo": "ada@example.com"');
    const line = await worker.line({ msg: 'Job finished', task: 'send-welcome' });
    await worker.stop();
    expect(worker.lines({ msg: 'Worker stopped' })).toHaveLength(1);
    return line.outcome;
  }

  test('with the scripts of a new app and its private Redis', async () => {
    expect(await runJob(['npm', 'run', 'worker', '--'], ['npm', 'run', 'enqueue', '--'])).toBe('completed');
  }, 60_000);

  test('built, in production, as the Dockerfile makes it', async () => {
    const [, command = ''] = /^RUN (npx .*)$/m.exec(readFileSync(join(app, 'Dockerfile'), 'utf8')) ?? [];
    const image = join(folder, 'image');
    await inApp('sh', '-c', command.replace('"$QUEUE"', 'mail').replace('/worker', image));
    const place = openRedisPlace();
    const more = { NODE_ENV: 'production', ...place.env };
    const worker: [string, ...string[]] = [process.execPath, join(image, 'worker.js')];
    expect(await runJob(worker, [process.execPath, islet, 'enqueue'], more, [])).toBe('completed');
    await place.close();
  }, 60_000);

  test.each([undefined, 'production'])(
    'from TypeScript, on a Node that runs it, with NODE_ENV %s',
    async (mode) => {
      rmSync(join(app, 'dist'), { recursive: true, force: true });
      const place = openRedisPlace();
      const node = (name: string): [string, ...string[]] => [node22, islet, name];
      expect(await runJob(node('worker'), node('enqueue'), { NODE_ENV: mode, ...place.env })).toBe('completed');
      expect(existsSync(join(app, 'dist'))).toBe(false);
      await place.close();
    },
    60_000,
  );
});
