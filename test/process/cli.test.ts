import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fixtureApp, killAll, startIslet, within } from '../support/islet-process.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';

const unreachable = 'redis://:not-to-be-shown@127.0.0.1:1';

let place: RedisPlace;

beforeEach(() => {
  place = openRedisPlace();
});

afterEach(async () => {
  await killAll();
  await place.close();
});

const good = '{"behaviour":"finish"}';

test.each<[string, string[], RegExp]>([
  ['no command', [], /^E_USAGE: Name a command/],
  ['an unknown command', ['wroker'], /^E_USAGE: .*wroker/],
  ['an unknown flag', ['worker', '--quue', 'main'], /^E_USAGE: .*--quue/],
  ['an argument too many', ['worker', 'main'], /^E_USAGE: /],
  ['no queue', ['worker'], /^E_USAGE: Name a queue/],
  ['an unknown queue', ['worker', '--queue', 'mian'], /^E_QUEUE_UNKNOWN: .*"mian".*[Dd]id you mean "main"/],
  ['a path as queue', ['worker', '--queue', '../x'], /^E_QUEUE_UNKNOWN: .*"\.\.\/x"/],
  ['__proto__ as queue', ['worker', '--queue', '__proto__'], /^E_QUEUE_UNKNOWN: .*"__proto__"/],
  [
    'a grace that no timer takes',
    ['worker', '--queue', 'main', '--graceful-timeout', '30d'],
    /^E_USAGE: --graceful-timeout: .*24d at most, got "30d"/,
  ],
  ['concurrency 0', ['worker', '--queue', 'main', '--concurrency', '0'], /^E_USAGE: --concurrency: .*"0"/],
  ['concurrency -1', ['worker', '--queue', 'main', '--concurrency', '-1'], /^E_USAGE: .*--concurrency/],
  ['concurrency NaN', ['worker', '--queue', 'main', '--concurrency', 'NaN'], /^E_USAGE: --concurrency: .*"NaN"/],
  ['an unknown task', ['enqueue', 'atc', good], /^E_TASK_UNKNOWN: .*"atc".*[Dd]id you mean "act"/],
  ['a path as task', ['enqueue', '../x', good], /^E_TASK_UNKNOWN: .*"\.\.\/x"/],
  ['__proto__ as task', ['enqueue', '__proto__', good], /^E_TASK_UNKNOWN: .*"__proto__"/],
  ['constructor as task', ['enqueue', 'constructor', good], /^E_TASK_UNKNOWN: .*"constructor"/],
  ['no payload', ['enqueue', 'act'], /^E_USAGE: .*json/],
  ['a payload that is not JSON', ['enqueue', 'act', '{behaviour:1}'], /^E_USAGE: The payload is not JSON/],
  [
    'a payload that its schema refuses',
    ['enqueue', 'act', '{"behaviour":42}'],
    /^E_PAYLOAD_INVALID: .*`behaviour`.*42/,
  ],
  ['an id that BullMQ cannot take', ['enqueue', 'act', good, '--id', 'a:b'], /^E_ENQUEUE_OPTIONS_INVALID: /],
  ['a delay without a unit', ['enqueue', 'act', good, '--delay', '60'], /^E_USAGE: --delay: .*"60"/],
])('exits with 2 and says why, given %s', async (_, args, said) => {
  const { code, stdout, stderr } = await run(args, place.env);
  expect(stderr).toMatch(said);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expectNoStack(stderr);
  expect(await place.queue('main').getJobCountByTypes('waiting', 'delayed')).toBe(0);
});

test.each([
  ['worker', ['worker', '--queue', 'main']],
  ['enqueue', ['enqueue', 'act', good]],
])('%s exits with 1 within seconds, when Redis cannot be reached', async (_, args) => {
  const { code, stderr, ms } = await run(args, { ...place.env, REDIS_URL: unreachable });
  expect(stderr).toMatch(/^E_REDIS_UNREACHABLE: .*127\.0\.0\.1:1.*ECONNREFUSED/);
  expect(code).toBe(1);
  expect(ms).toBeLessThan(8_000);
  expect(stderr).not.toContain('not-to-be-shown');
  expectNoStack(stderr);
});

test.each([
  ['worker', ['worker', '--queue', 'main']],
  ['enqueue', ['enqueue', 'act', good]],
])('%s exits with 1 and does not show the password, when it is wrong', async (_, args) => {
  const url = new URL(place.url);
  const right = url.password;
  url.password = 'wrong-and-secret';
  const { code, stdout, stderr } = await run(args, { ...place.env, REDIS_URL: url.href });
  expect(stderr).toMatch(/^E_REDIS_DENIED: .*WRONGPASS/);
  expect(code).toBe(1);
  expect(stdout + stderr).not.toContain('wrong-and-secret');
  expect(stdout + stderr).not.toContain(right);
  expectNoStack(stderr);
});

test.each([
  ['worker', ['worker', '--queue', 'main']],
  ['enqueue', ['enqueue', 'act', good]],
])('%s exits with 2, when no Redis is configured', async (_, args) => {
  const { code, stderr } = await run(args, { ...place.env, REDIS_URL: undefined });
  expect(stderr).toMatch(/^E_REDIS_MISSING: .*REDIS_URL.*--dev-redis/);
  expect(code).toBe(2);
  expectNoStack(stderr);
});

test.each([
  ['with a REDIS_URL', true],
  ['without a REDIS_URL', false],
])('--dev-redis is refused with exit 1 in production, %s', async (_, configured) => {
  const env = { ...place.env, NODE_ENV: 'production', REDIS_URL: configured ? place.url : undefined };
  const { code, stderr } = await run(['worker', '--queue', 'main', '--dev-redis'], env);
  expect(stderr).toMatch(/^E_DEV_REDIS_REFUSED: /);
  expect(code).toBe(1);
  expectNoStack(stderr);
});

test.each([
  ['REDIS_PREFIX', 'redis.prefix', 'a b'],
  ['LOG_LEVEL', 'log.level', 'loud'],
  ['REDIS_URL', 'redis.url', 'http://user:not-to-be-shown@localhost'],
])('a bad value of %s exits with 1 and names key and variable', async (variable, key, value) => {
  const { code, stderr } = await run(['worker', '--queue', 'main'], { ...place.env, [variable]: value });
  expect(stderr).toMatch(/^E_CONFIG_INVALID: /);
  expect(stderr).toContain(`\`${key}\``);
  expect(stderr).toContain(`environment variable ${variable}`);
  expect(stderr).not.toContain('not-to-be-shown');
  expect(code).toBe(1);
  expectNoStack(stderr);
});

test('a bad value of the environment is shown', async () => {
  const { stderr } = await run(['worker', '--queue', 'main'], { ...place.env, REDIS_PREFIX: 'a b' });
  expect(stderr).toContain('"a b"');
});

test('shows the stack, when asked for with --verbose', async () => {
  const { code, stderr } = await run(['--verbose', 'enqueue', 'atc', good], place.env);
  expect(stderr).toMatch(/^E_TASK_UNKNOWN: [\s\S]*\n\s+at /);
  expect(code).toBe(2);
});

test('--help explains the commands on standard output and exits with 0', async () => {
  const { code, stdout, stderr } = await run(['--help'], place.env);
  expect(stdout).toMatch(/worker[\s\S]*enqueue/);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

test.each([
  ['--help', 0],
  ['jobs --help', 0],
  // This app has a problem, as it should.
  ['check', 1],
])('ends quietly when nobody reads its output: %s', async (args, code) => {
  const command = `"${process.execPath}" "${resolve('bin/islet.js')}" ${args}; echo $? >&2`;
  // The reader is gone before the first line.
  const shell = spawn('bash', ['-c', `(${command}) | exec 0<&-`], { cwd: fixtureApp('behaviours') });
  let said = '';
  shell.stderr.on('data', (data) => {
    said += data;
  });
  await once(shell, 'close');
  expect(said).toBe(`${code}\n`);
});

describe('without a build, and outside of an app', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'islet-cli-'));
  });

  afterEach(() => rm(folder, { recursive: true }));

  /** Runs a command in an empty folder, or in an app that was never compiled. */
  const runThere = async (args: string[], app: boolean) => {
    if (app) {
      for (const [file, text] of [
        ['tsconfig.json', '{}'],
        ['queues/mail/manifest.ts', ''],
      ] as const) {
        await mkdir(dirname(join(folder, file)), { recursive: true });
        await writeFile(join(folder, file), text);
      }
    }
    const islet = startIslet(args, { cwd: folder, env: { NODE_ENV: 'production' } });
    const { code } = await within(islet.exited, 15_000, `islet ${args.join(' ')}`);
    return { code, stdout: islet.stdout(), stderr: islet.stderr() };
  };

  test.each([
    ['--version', /^\d+\.\d+\.\d+\S*\n$/],
    ['-V', /^\d+\.\d+\.\d+\S*\n$/],
    ['--verbose --version', /^\d+\.\d+\.\d+\S*\n$/],
    ['help', /^Usage: islet [\s\S]*-V, --version[\s\S]* worker [\s\S]* enqueue /],
    ['--help', /^Usage: islet /],
    ['help worker', /^Usage: islet worker [\s\S]*--concurrency/],
    ['help jobs', /^Usage: islet jobs [\s\S]*retry[\s\S]*cancel/],
    ['worker --help', /^Usage: islet worker [\s\S]*--concurrency/],
  ])('islet %s answers on standard output', async (line, answer) => {
    for (const app of [false, true]) {
      const { code, stdout, stderr } = await runThere(line.split(' '), app);
      expect(stdout).toMatch(answer);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    }
  });

  test('help refuses a command that there is not', async () => {
    expect(await runThere(['help', 'wroker'], false)).toEqual({
      code: 2,
      stdout: '',
      stderr: 'E_USAGE: There is no command "wroker". Did you mean "worker"? "islet help" explains all.\n',
    });
  });

  test('the version is known, where not even Islet was compiled', async () => {
    await cp('bin', join(folder, 'bin'), { recursive: true });
    await cp('package.json', join(folder, 'package.json'));
    const command: [string, string] = [process.execPath, join(folder, 'bin/islet.js')];
    const islet = startIslet(['--version'], { cwd: folder, env: {}, command });
    expect((await within(islet.exited, 15_000, 'islet --version')).code).toBe(0);
    expect(islet.stdout()).toMatch(/^\d+\.\d+\.\d+/);
  });
});

test('enqueues a job and names it', async () => {
  const { code, stderr } = await run(['enqueue', 'act', good, '--id', 'mine'], place.env);
  expect(stderr).toContain('Enqueued job mine of task act in queue main');
  expect(code).toBe(0);
  const job = await place.queue('main').getJob('mine');
  expect(job).toMatchObject({ name: 'act', data: { behaviour: 'finish' } });
});

test('enqueue --wait prints the result', async () => {
  const env = { ...place.env };
  const worker = startIslet(['worker', '--queue', 'main'], { cwd: fixtureApp('behaviours'), env });
  await worker.line({ msg: 'Worker ready' });
  const { code, stdout } = await run(['enqueue', 'act', good, '--wait'], env);
  expect({ code, result: JSON.parse(stdout) }).toEqual({ code: 0, result: { done: true } });
});

test('enqueue --wait exits with 1 and says why, when the job fails', async () => {
  const worker = startIslet(['worker', '--queue', 'main'], { cwd: fixtureApp('behaviours'), env: place.env });
  await worker.line({ msg: 'Worker ready' });
  const { code, stdout, stderr } = await run(['enqueue', 'act', '{"behaviour":"return-bigint"}', '--wait'], place.env);
  expect(stderr).toMatch(/^E_RESULT_INVALID: /m);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expectNoStack(stderr);
});

async function run(args: string[], env: Record<string, string | undefined>) {
  const startedAt = performance.now();
  const islet = startIslet(args, { cwd: fixtureApp('behaviours'), env });
  const { code } = await within(islet.exited, 15_000, `islet ${args.join(' ')}`);
  return { code, stdout: islet.stdout(), stderr: islet.stderr(), ms: performance.now() - startedAt };
}

function expectNoStack(stderr: string): void {
  expect(stderr).not.toMatch(/\n\s+at /);
}
