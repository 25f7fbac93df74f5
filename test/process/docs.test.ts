import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseOptions } from '../../lab/chaos/options.ts';
import { parseOptions as parseMigration } from '../../lab/migration/options.ts';
import { readBlocks, readCommands } from '../support/documents.ts';
import { type IsletProcess, killAll, startIslet } from '../support/islet-process.ts';
import { createNewApp, type NewApp } from '../support/new-app.ts';
import { startPrivateRedis } from '../support/private-redis.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';

const run = promisify(execFile);

let app: NewApp;
let place: RedisPlace;

beforeAll(async () => {
  app = await createNewApp();
  place = openRedisPlace();
});

afterAll(async () => {
  await killAll();
  await place.close();
  await app.close();
});

const env = () => ({ ...process.env, VITEST: undefined, NODE_ENV: undefined, NODE_OPTIONS: undefined, ...place.env });

/** Runs a line in the app, as a shell does, until it ends. */
async function shell(line: string, own: NodeJS.ProcessEnv = {}): Promise<string> {
  try {
    const { stdout, stderr } = await run('sh', ['-c', line], {
      cwd: app.root,
      env: { ...env(), ...own },
      timeout: 120_000,
    });
    return stdout + stderr;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${line}\n${stdout}${stderr}`);
  }
}

async function findFreePort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0), 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts a line that goes on running. */
function start(line: string, own: NodeJS.ProcessEnv = {}): IsletProcess {
  return startIslet([`exec ${line}`], { command: ['sh', '-c'], cwd: app.root, env: { ...env(), ...own } });
}

/** Starts a worker with a line of the documents, runs `work`, and stops the worker. */
async function withWorker(line: string, work: () => Promise<unknown> = async () => {}): Promise<void> {
  const worker = start(line);
  await worker.line({ msg: 'Worker ready' }, 30_000);
  await work();
  await worker.stop();
}

const worker = 'node node_modules/islet/bin/islet.js worker';

const enqueueInvoice = `npm run enqueue -- send-invoice '{"id":"1"}' --wait`;
const enqueueWelcome = `npm run enqueue -- send-welcome '{"userId":"1","email":"ada@example.com"}' --wait`;

/** How each command of the documents is exercised. A command that is missing here makes a test fail. */
const exercises: Record<string, (command: string) => Promise<unknown>> = {
  // Commands in the clone: the continuous integration runs them, as is checked below, or their options are parsed.
  'npm run demo': inContinuousIntegration,
  'npm run chaos -- --jobs 10000 --seed 1 --minutes 3': async (line) => parseOptions(flagsOf(line)),
  'npm run chaos -- --only sigkill --jobs 2000 --minutes 1 --bare': async (line) => parseOptions(flagsOf(line)),
  'npm run migration': async (line) => parseMigration(flagsOf(line)),
  // Commands for the packed package: the newcomer's path has them, which the continuous integration walks.
  'npm pack': onNewcomersPath,
  'npx --yes --package ./islet-0.1.0.tgz islet init ../my-workers': onNewcomersPath,
  'mv islet-0.1.0.tgz ../my-workers && cd ../my-workers && npm install ./islet-0.1.0.tgz': onNewcomersPath,
  // Commands in the app, in this order.
  'npm run generate -- task send-invoice --queue mail': (line) => shell(line),
  'npm test -- tasks/send-invoice': async (line) => expect(await shell(line)).toMatch(/3 passed/),
  'npm test': async (line) => {
    await inContinuousIntegration(line);
    expect(await shell(line)).toMatch(/passed/);
  },
  'npm run check': (line) => shell(line),
  'npx islet check --queue mail': async (line) => expect(await shell(line)).toContain('1 queue, '),
  'npx islet generate queue reports': (line) => shell(line),
  'npm run worker -- --queue mail': (line) => withWorker(line),
  'WORKER_GRACEFUL_TIMEOUT=50s npm run worker -- --queue mail': (line) =>
    withWorker(line.replace(/^(\S+) /, 'env $1 ')),
  'npm run worker -- --queue mail --queue reports': (line) => withWorker(line),
  'REDIS_URL=redis://127.0.0.1:6379 npx islet worker --queue legacy-mail': (line) =>
    // The tests have a Redis of their own.
    withWorker(line.replace(/^\S+ /, '')),
  'npm run worker -- --queue mail --processes 2 --max-age 6h --max-age-variance 1h --max-memory 300mb': async (
    line,
  ) => {
    const parent = start(line);
    await parent.line({ msg: 'Supervisor ready' }, 30_000);
    await parent.stop();
  },
  [enqueueInvoice]: async (line) =>
    withWorker(`${worker} --queue mail`, async () => expect(await shell(line)).toContain('"id": "1"')),
  [enqueueWelcome]: async (line) =>
    withWorker(`${worker} --queue mail`, async () => expect(await shell(line)).toContain('"sentTo"')),
  'npx islet footprint': async (line) => expect(await shell(line)).toContain('mail'),
  'npx islet footprint --queue mail': async (line) => expect(await shell(line)).toContain('awilix'),
  'npx islet build --queue mail --out build/mail': async (line) => {
    await shell(line);
    await withWorker('node build/mail/worker.js');
    // The linter must not take what is built for source code.
    await shell('npx biome ci .');
  },
  'npm run dev': whileReady,
  'npx islet dev --queue mail': whileReady,
  'npx islet jobs retry --queue mail --failed --dry-run': async (line) =>
    expect(await shell(line)).toContain('No failed job of queue "mail" was selected.'),
  'npx islet jobs cancel <id> --reason "wrong address"': async (line) => {
    await shell(`npm run enqueue -- send-invoice '{"id":"2"}' --id order-2`);
    expect(await shell(line.replace('<id>', 'order-2'))).toContain('was cancelled before it ran');
  },
  'npx islet destroy task send-invoice --yes': async (line) => expect(await shell(line)).toContain('send-invoice'),
};

const flagsOf = (line: string) => line.split(' -- ')[1]?.split(' ') ?? [];

async function inContinuousIntegration(command: string): Promise<void> {
  expect(readFileSync('.ci/run', 'utf8')).toContain(command);
}

async function onNewcomersPath(command: string): Promise<void> {
  const words = command.split(' ').filter((word) => /^(pack|init|install|npx|--package)$/.test(word));
  const path = readFileSync('lab/bench/newcomer.ts', 'utf8');
  expect(words.filter((word) => !path.includes(word))).toEqual([]);
}

async function whileReady(line: string): Promise<void> {
  const dev = start(line);
  await expect.poll(() => dev.stdout(), { timeout: 30_000 }).toContain('Worker ready');
  await dev.stop();
}

describe('a snippet', () => {
  const snippets = readBlocks().filter(({ language }) => language === 'ts');

  test('names the file of an app that it is', () => {
    const nameless = snippets.filter(({ file }) => !/^(src|tasks|queues|config|test)\/[\w/.-]+\.ts$/.test(file));
    expect(nameless).toEqual([]);
    expect(snippets.length).toBeGreaterThan(10);
  });

  test('compiles in a new app, is formatted, and its tests pass', async () => {
    for (const { file, text } of snippets) await app.write(file, text);
    await shell('npx tsc --noEmit');
    await shell('npx biome ci .');
    const tests = snippets.filter(({ file }) => file.endsWith('.test.ts')).length;
    // The app's own two test files come with it.
    expect(await shell('NO_COLOR=1 npx vitest run')).toContain(`Test Files  ${tests + 2} passed`);
  });

  test('of a web process gets the result from a worker, with the hooks around it', async () => {
    await shell('npm run build');
    // Both sides use the default prefix, so they get a Redis of their own.
    const redis = await startPrivateRedis();
    const own = { REDIS_URL: redis.server.url, REDIS_PREFIX: undefined };
    const running = start(`${worker} --queue mail`, own);
    await running.line({ msg: 'Worker ready' }, 30_000);
    expect(await shell('node dist/src/sign-up.js', own)).toContain('sent to ada@example.com');
    await running.line({ msg: 'Traced', ok: true });
    await running.stop();
    expect(running.lines({ msg: 'Tracing is flushed' })).toHaveLength(1);
    await redis.close();
  });
});

describe('a web API of the documents', () => {
  const servers = [
    ['Express', 'express-api'],
    ['Fastify', 'fastify-api'],
  ] as const;

  test('is short enough to read', () => {
    const blocks = readBlocks().filter(({ file }) => servers.some(([, name]) => file === `src/${name}.ts`));
    expect(blocks.map(({ document, text }) => [document, text.trimEnd().split('\n').length <= 40])).toEqual([
      ['docs/web-api.md', true],
      ['docs/web-api.md', true],
    ]);
  });

  test.each(servers)('answers over HTTP with %s, with a worker behind it', async (_, name) => {
    const redis = await startPrivateRedis();
    const own = { REDIS_URL: redis.server.url, REDIS_PREFIX: undefined };
    const port = await findFreePort();
    const server = start(`node dist/src/${name}.js`, { ...own, PORT: String(port) });
    const ask = async (path: string, body?: string) => {
      const sent = body === undefined ? {} : { method: 'POST', headers: { 'Content-Type': 'application/json' }, body };
      const response = await fetch(`http://localhost:${port}${path}`, sent);
      const { status, headers } = response;
      return { status, headers, said: (await response.json().catch(() => undefined)) as Record<string, unknown> };
    };
    await expect.poll(() => ask('/jobs/x').catch(() => undefined), { timeout: 10_000 }).toMatchObject({ status: 404 });
    const wrong = await ask('/welcome', '{"userId":"1","email":"ada"}');
    expect(wrong).toMatchObject({ status: 400, said: { error: 'E_PAYLOAD_INVALID' } });
    expect(wrong.said.message).toContain('`email`');
    for (const body of ['{', '', '[]', 'null'])
      expect([body, (await ask('/welcome', body)).status]).toEqual([body, 400]);

    const made = await ask('/welcome', '{"userId":"1","email":"ada@example.com"}');
    const location = made.headers.get('Location') ?? '';
    expect([made.status, location]).toEqual([202, `/jobs/${made.said.id}`]);
    expect(await ask(location)).toMatchObject({ status: 200, said: { state: 'waiting' } });
    const running = start(`${worker} --queue mail`, own);
    const done = { status: 200, said: { state: 'completed', result: { sentTo: 'ada@example.com' } } };
    await expect.poll(() => ask(location), { timeout: 30_000 }).toMatchObject(done);
    await running.stop();

    await redis.server.kill();
    for (const away of [ask(location), ask('/welcome', '{"userId":"1","email":"ada@example.com"}')]) {
      const { status, headers, said } = await away;
      expect([status, headers.get('Retry-After')]).toEqual([503, '5']);
      expect(said).toEqual({ error: 'E_REDIS_UNREACHABLE' });
    }
    expect(await server.stop()).toEqual({ code: 0, signal: null });
    await redis.close();
  });

  test('reads only the jobs of the user who asks', async () => {
    const file = pathToFileURL(join(app.root, 'dist/src/own-jobs.js')).href;
    const { createOwnId, readOwnJob } = await import(file);
    const producer = { job: async (id: string) => id };
    const id = createOwnId('ada.lovelace');
    expect(await readOwnJob(producer, 'ada.lovelace', id)).toBe(id);
    for (const user of ['ada', '', 'ada.lovelace.x']) expect(await readOwnJob(producer, user, id)).toBeUndefined();
  });
});

describe('a command', () => {
  const commands = readCommands().map(({ command }) => command);

  test('is exercised here, and what is exercised here is in the documents', () => {
    expect(Object.keys(exercises).sort()).toEqual([...commands].sort());
  });

  test.each(Object.keys(exercises))(
    'does what it says: %s',
    async (command) => {
      await exercises[command]?.(command);
    },
    120_000,
  );
});

test('a fenced block is a snippet, a command, or a picture', () => {
  const others = readBlocks().filter(({ language }) => !['ts', 'sh', ''].includes(language));
  expect(others).toEqual([]);
});
