import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { createProducer, type Producer, type ResultHandle } from '../../src/producer.ts';
import type { Contents } from '../../src/tools/build/contents.ts';
import exportLinks from '../../tasks/export-links/manifest.ts';
import fitCurve from '../../tasks/fit-curve/manifest.ts';
import makeThumbnail from '../../tasks/make-thumbnail/manifest.ts';
import renderPdf from '../../tasks/render-pdf/manifest.ts';
import scrapePage from '../../tasks/scrape-page/manifest.ts';
import { killAll, repository, startIslet, within } from '../support/islet-process.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';
import { openTempApp, type TempApp } from '../support/temp-app.ts';

const needsCompiler = !(process.features as { typescript?: unknown }).typescript;

/** A folder with nothing of this repository above it. */
const folder = mkdtempSync(join(tmpdir(), 'islet-build-'));
const queues = ['api-scraper', 'images', 'documents', 'science'] as const;
const built = (name: string) => join(folder, name);
const resultMs = { timeoutMs: 20_000 };

async function islet(args: string[], cwd = repository, env: Record<string, string | undefined> = {}) {
  const run = startIslet(args, { cwd, env: { NODE_ENV: 'development', REDIS_URL: undefined, ...env } });
  const { code } = await within(run.exited, 60_000, args.join(' '));
  return { code, stdout: run.stdout(), stderr: run.stderr() };
}

async function build(...args: string[]): Promise<Contents> {
  const { code, stdout, stderr } = await islet(['build', ...args, '--json']);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Contents;
}

function listFiles(root: string): string[] {
  const entries = readdirSync(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return files.map((file) => file.slice(root.length + 1)).sort();
}

function hashAll(root: string): Record<string, string> {
  const hash = (file: string) =>
    createHash('sha256')
      .update(readFileSync(join(root, file)))
      .digest('hex');
  return Object.fromEntries(listFiles(root).map((file) => [file, hash(file)]));
}

let place: RedisPlace;
let producer: Producer;
const contents = {} as Record<(typeof queues)[number], Contents>;

/** Starts a built program from a folder that is not its own. */
function start(file: string, args: string[] = [], env: Record<string, string | undefined> = {}, probe = false) {
  const files = { FILES_FOLDER: built('files'), SCRAPER_ALLOW_PRIVATE: 'true' };
  const command: [string, ...string[]] = [process.execPath, '--enable-source-maps', file];
  return startIslet(args, { cwd: folder, env: { ...place.env, ...files, ...env }, command, probe });
}

const startWorker = (
  queue: string,
  ...rest: [args?: string[], env?: Record<string, string | undefined>, probe?: boolean]
) => start(join(built(queue), 'worker.js'), ...rest);

beforeAll(async () => {
  for (const queue of queues) contents[queue] = await build('--queue', queue, '--out', built(queue));
  place = openRedisPlace();
  producer = createProducer({ redis: place.url, prefix: place.prefix });
}, 240_000);

afterEach(killAll);
afterAll(async () => {
  await producer?.close();
  await place?.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('a built worker runs a job in a folder without node_modules above it', () => {
  const keep = { keepResultMs: 60_000 };
  let url: string;
  const site = createServer((_, answer) => {
    answer.setHeader('content-type', 'text/html').end('<title>Built</title><a href="/a">a</a>');
  });

  beforeAll(async () => {
    await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(site.address() as AddressInfo).port}/`;
  });
  afterAll(() => void site.close());

  test('api-scraper, with a task that is loaded at its first job', async () => {
    const worker = startWorker('api-scraper', [], {}, true);
    await worker.line({ msg: 'Worker ready' });
    const tasksLoaded = async () => (await worker.loadedScripts()).filter((script) => /\/task-\w+\.js$/.test(script));
    const page = (await producer.enqueue(scrapePage, { url }, keep)) as ResultHandle<unknown>;
    expect(await page.result(resultMs)).toMatchObject({ title: 'Built', links: [`${url}a`] });
    expect(await tasksLoaded()).toHaveLength(1);
    const sheet = await producer.enqueue(exportLinks, { url, file: 'links' }, keep);
    expect(await (sheet as ResultHandle<unknown>).result(resultMs)).toEqual({
      file: join(built('files'), 'links.xlsx'),
      links: 1,
    });
    expect(await tasksLoaded()).toHaveLength(2);
    expect(await worker.stop()).toEqual({ code: 0, signal: null });
  });

  test('images, with native code', async () => {
    const source = built('red.png');
    await sharp({ create: { width: 40, height: 20, channels: 3, background: 'red' } }).toFile(source);
    const worker = startWorker('images');
    const job = await producer.enqueue(makeThumbnail, { source, name: 'red', width: 20 }, keep);
    expect(await (job as ResultHandle<unknown>).result(resultMs)).toMatchObject({ width: 20, height: 10 });
    expect(await worker.stop()).toEqual({ code: 0, signal: null });
  });

  test('documents, with files beside the code of a package', async () => {
    const worker = startWorker('documents');
    const payload = { name: 'report', title: 'A report', paragraphs: ['First.', 'Second.'] };
    const job = await producer.enqueue(renderPdf, payload, keep);
    expect(await (job as ResultHandle<unknown>).result(resultMs)).toMatchObject({ pages: 1 });
    expect(
      readFileSync(join(built('files'), 'report.pdf'))
        .subarray(0, 5)
        .toString(),
    ).toBe('%PDF-');
    expect(await worker.stop()).toEqual({ code: 0, signal: null });
  });

  test('science, whose task runs in a thread, and is not loaded by the worker', async () => {
    const worker = startWorker('science', [], {}, true);
    await worker.line({ msg: 'Worker ready' });
    const points = [1, 2, 3].map((x) => ({ x, y: 2 * x }));
    const job = await producer.enqueue(fitCurve, { points, degree: 1 }, keep);
    expect(await (job as ResultHandle<unknown>).result(resultMs)).toMatchObject({ coefficients: [0, 2] });
    expect((await worker.loadedScripts()).filter((script) => /\/task-\w+\.js$/.test(script))).toEqual([]);
    expect(await worker.stop()).toEqual({ code: 0, signal: null });
  });
});

describe('a built folder', () => {
  test.each(queues)('of %s is listed with all of its files, and tells nothing of where it was made', (queue) => {
    const { files, bytes, ...rest } = contents[queue];
    const found = listFiles(built(queue)).filter((file) => file !== 'contents.json');
    expect(files).toEqual(found.map((file) => ({ file, bytes: statSync(join(built(queue), file)).size })));
    expect(bytes).toBe(files.reduce((sum, file) => sum + file.bytes, 0));
    expect(JSON.parse(readFileSync(join(built(queue), 'contents.json'), 'utf8'))).toEqual({ ...rest, files, bytes });
    const telling = found.filter((file) => readFileSync(join(built(queue), file), 'latin1').includes(repository));
    expect(telling).toEqual([]);
  });

  test('holds the packages of its own queue, and nothing that only starts, lends or tests', () => {
    const names = (queue: (typeof queues)[number]) => contents[queue].packages.map(({ name }) => name);
    expect(names('science')).toContain('mathjs');
    for (const name of ['sharp', 'pdfkit', 'exceljs', 'commander', 'pino-pretty', 'msgpackr-extract', 'fast-glob']) {
      expect(names('science')).not.toContain(name);
    }
    expect(contents.science.files.filter(({ file }) => file.startsWith('node_modules'))).toEqual([]);
    expect(contents.science.system).toBeUndefined();
    expect(contents.images).toMatchObject({ queue: 'images', tasks: ['make-thumbnail'] });
    expect(contents.images.system).toBe(`${process.platform}-${process.arch}`);
    expect(contents.images.packages.find(({ name }) => name === 'sharp')?.copiedBecause).toMatch(/sharp\//);
  });

  test('has the same bytes when it is built again, over the earlier one too', async () => {
    const first = hashAll(built('images'));
    expect(Object.keys(first).filter((file) => file.includes('dev-redis'))).toEqual([]);
    await build('--queue', 'images', '--out', built('images'));
    expect(hashAll(built('images'))).toEqual(first);
  });

  test('explains a start that cannot be', async () => {
    const end = async (args: string[], env = {}) => {
      const worker = startWorker('science', args, env);
      const { code } = await within(worker.exited, 10_000, 'the end');
      return { code, said: worker.stderr() || worker.stdout() };
    };
    expect(await end(['--queue', 'images'])).toEqual({
      code: 2,
      said: `E_USAGE: Unknown option '--queue'. This is the worker of queue "science"; --help lists its options.\n`,
    });
    expect(await end(['--concurrency', 'many'])).toMatchObject({ code: 2, said: /^E_USAGE: --concurrency/ });
    expect(await end([], { REDIS_URL: undefined })).toEqual({
      code: 2,
      said: 'E_REDIS_MISSING: No Redis is configured. Set REDIS_URL, or redis.url in config/.\n',
    });
    expect((await end(['--help'])).said).toContain('--graceful-timeout <duration>');
  });

  test('takes its settings from its own config/<env>.json and from the flags', async () => {
    const file = join(built('documents'), 'config/production.json');
    const before = readFileSync(file);
    writeFileSync(file, '{ "log": { "level": "debug" }, "redis": { "prefix": "not-this-one" } }');
    const worker = startWorker('documents', ['--concurrency', '3'], { NODE_ENV: 'production', LOG_LEVEL: undefined });
    expect(await worker.line({ msg: 'Worker ready' })).toMatchObject({
      queues: [{ queue: 'documents', concurrency: 3 }],
    });
    await worker.stop();
    writeFileSync(file, '{ "log": { "level": "loud" } }');
    const refused = startWorker('documents', [], { NODE_ENV: 'production', LOG_LEVEL: undefined });
    expect(await refused.exited).toEqual({ code: 1, signal: null });
    expect(refused.stderr()).toMatch(/^E_CONFIG_INVALID: .*`log.level`.*from config\/production.json/);
    writeFileSync(file, before);
  });
});

test('a built worker can be kept by a parent, which loads none of its code', async () => {
  const parent = startWorker('science', ['--processes', '2']);
  const { rssMb: parentMb } = await parent.line({ msg: 'Supervisor ready', processes: 2 });
  const ready = () => parent.lines({ msg: 'Worker ready' });
  await vi.waitFor(() => expect(ready()).toHaveLength(2), { timeout: 20_000 });
  expect(Number(parentMb)).toBeLessThan(Number(ready()[0]?.rssMb) - 15);
  expect(await parent.stop()).toEqual({ code: 0, signal: null });
});

describe('islet build refuses', () => {
  const out = join(folder, 'refused');

  afterEach(() => expect(existsSync(out)).toBe(false));

  test.each([
    ['no queue', ['--out', out], 'E_USAGE: Name what to build: islet build --queue <name>, or --producer <file>.'],
    ['no folder', ['--queue', 'science'], 'E_USAGE: Name the folder to build into: --out <folder>.'],
    ['an unknown queue', ['--queue', 'sience', '--out', out], 'E_QUEUE_UNKNOWN: .*Did you mean "science"?'],
  ])('%s, with exit 2', async (_, args, said) => {
    const { code, stderr } = await islet(['build', ...args]);
    expect(stderr).toMatch(new RegExp(`^${said.replace(/[?<>]/g, '\\$&')}`));
    expect(code).toBe(2);
  });

  test('a folder that has something else in it, and leaves that', async () => {
    const { code, stderr } = await islet(['build', '--queue', 'science', '--out', folder]);
    expect(stderr).toMatch(/^E_FOLDER_NOT_EMPTY: .* is not empty, and not an earlier build/);
    expect(code).toBe(1);
    expect(existsSync(built('images'))).toBe(true);
  });

  test('what is to be included and is not there', async () => {
    const { code, stderr } = await islet(['build', '--queue', 'science', '--out', out, '--include', 'no-such-package']);
    expect(stderr).toMatch(/^E_BUILD_FAILED: --include no-such-package: neither a file of the app nor an installed/);
    expect(code).toBe(1);
  });
});

describe('an app of its own', () => {
  let app: TempApp;
  const sources = {
    'package.json': '{ "type": "module" }',
    'config/index.ts': readFileSync('test/fixtures/behaviours/config/index.ts', 'utf8'),
    'queues/mail/manifest.ts': `import { defineQueue } from 'islet';\nexport default defineQueue({ name: 'mail' });\n`,
    'tasks/greet/manifest.ts': `import { defineTask } from 'islet';\nimport * as v from 'valibot';
export default defineTask({ name: 'greet', queue: 'mail', payload: v.object({}), attempts: 1, keepResultMs: 60_000 });\n`,
    'tasks/greet/hello.txt': 'Hello',
    'tasks/greet/task.ts': `import { readFileSync } from 'node:fs';
import { implement } from 'islet/task';
import manifest from './manifest.ts';

const isCompiled = import.meta.url.includes('/dist/');
const hello = isCompiled
  ? readFileSync(new URL('../../../tasks/greet/hello.txt', import.meta.url), 'utf8')
  : readFileSync(new URL('./hello.txt', import.meta.url), 'utf8');
export default implement(manifest, async () => ({ hello }));\n`,
    'tasks/explode/manifest.ts': `import { defineTask } from 'islet';\nimport * as v from 'valibot';
export default defineTask({ name: 'explode', queue: 'mail', payload: v.object({}), attempts: 1 });\n`,
    'tasks/explode/task.ts': `import { implement } from 'islet/task';
import manifest from './manifest.ts';

class TooHotError extends Error {
  override name = TooHotError.name;
}

function explode(): never {
  throw new TooHotError('boom');
}

export default implement(manifest, async () => explode());\n`,
    'src/send.ts': `import { createProducer } from 'islet/producer';
import config from '../config/index.ts';
import greet from '../tasks/greet/manifest.ts';

const producer = createProducer({ redis: config.redis.url ?? '', prefix: config.redis.prefix });
const job = await producer.enqueue(greet, {}, { keepResultMs: 60_000 });
console.log(JSON.stringify(await job.result({ timeoutMs: 20_000 })));
await producer.close();\n`,
  };

  async function open(): Promise<TempApp> {
    const { compilerOptions } = JSON.parse(readFileSync('tsconfig.json', 'utf8'));
    const options = { ...compilerOptions, paths: undefined };
    const tsconfig = { compilerOptions: options, include: ['src', 'queues', 'tasks', 'config'] };
    const opened = await openTempApp((root) => mkdir(root).then(() => {}));
    await opened.write('tsconfig.json', JSON.stringify(tsconfig));
    for (const [file, text] of Object.entries(sources)) await opened.write(file, text);
    return opened;
  }

  const buildIn = (root: string, ...args: string[]) => islet(['build', ...args], root);

  beforeAll(async () => {
    app = await open();
    const { code, stderr } = await buildIn(app.root, '--queue', 'mail', '--out', built('mail'));
    if (code !== 0) throw new Error(stderr);
  }, 120_000);
  afterAll(() => app?.close());

  test('has the same bytes when it is built from another folder', async () => {
    const other = await open();
    await buildIn(other.root, '--queue', 'mail', '--out', join(other.root, 'out'));
    expect(hashAll(join(other.root, 'out'))).toEqual(hashAll(built('mail')));
    await other.close();
  });

  test('has files that its code reads beside itself, and a producer whose job they run', async () => {
    const { code, stderr } = await buildIn(app.root, '--producer', 'src/send.ts', '--out', built('sender'));
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const worker = startWorker('mail');
    const sender = start(join(built('sender'), 'producer.js'));
    expect(await sender.exited).toEqual({ code: 0, signal: null });
    expect(sender.stdout()).toBe('{"hello":"Hello"}\n');
    const { packages } = JSON.parse(readFileSync(join(built('sender'), 'contents.json'), 'utf8')) as Contents;
    expect(packages.map(({ name }) => name)).not.toContain('awilix');
    await worker.stop();
  });

  test('names errors and their places as the sources do', async () => {
    const worker = startWorker('mail');
    await worker.line({ msg: 'Worker ready' });
    const job = await place.queue('mail').add('explode', { payload: {} }, { attempts: 1 });
    const line = await worker.line({ msg: 'Job finished', jobId: job.id, outcome: 'failed' });
    expect(line.error).toBe('TooHotError: boom');
    const stacks = async () => (await place.queue('mail').getJob(job.id ?? ''))?.stacktrace?.join('\n');
    // The outcome is logged before it is written to Redis.
    await vi.waitFor(async () => expect(await stacks()).toMatch(/tasks\/explode\/task\.ts:9:9/), { timeout: 5_000 });
    await worker.stop();
  });

  test('is refused with the place of an import that is computed', async () => {
    const task = sources['tasks/greet/task.ts'];
    await app.write(
      'tasks/greet/task.ts',
      `${task}export const load = (name: string) => import(\`other-\${name}\`);\n`,
    );
    const { code, stderr } = await buildIn(app.root, '--queue', 'mail', '--out', built('none'));
    await app.write('tasks/greet/task.ts', task);
    expect(stderr).toMatch(/E_BUILD_FAILED: .*tasks\/greet\/task\.[jt]s:\d+ computes an import\(\)/);
    expect({ code, written: existsSync(built('none')) }).toEqual({ code: 1, written: false });
  });

  test('is refused when it does not compile, and when a module is missing', async () => {
    const task = sources['tasks/explode/task.ts'];
    await app.write('tasks/explode/task.ts', `${task}const wrong: number = 'text';\n`);
    // A Node that runs sources leaves types to the compiler.
    const wrong = needsCompiler ? await buildIn(app.root, '--queue', 'mail', '--out', built('none')) : undefined;
    await app.write('tasks/explode/task.ts', `// @ts-ignore\nimport 'no-such-package';\n${task}`);
    const missing = await buildIn(app.root, '--queue', 'mail', '--out', built('none'));
    await app.write('tasks/explode/task.ts', task);
    if (wrong) expect(wrong.stderr).toMatch(/E_BUILD_FAILED: The build failed.\n.*task\.ts\(13,7\)/);
    expect(missing.stderr).toMatch(/E_BUILD_FAILED: .*task\.[jt]s:\d+: Could not resolve "no-such-package"/);
    expect({ code: missing.code, written: existsSync(built('none')) }).toEqual({ code: 1, written: false });
  });
});
