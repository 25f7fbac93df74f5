import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { Child } from '../../kit/child.ts';
import { unpackCelery } from './celery-packages.ts';
import type { Contender, Sender } from './contender.ts';

const run = promisify(execFile);
const app = resolve('lab/bench/contenders/celery');
const wanted = ['celery', 'gevent', 'redis', 'requests'];

/** A Python that has all packages, and the environment that it needs to find them. */
interface Python {
  readonly program: string;
  readonly env: Readonly<Record<string, string>>;
  readonly versions: Readonly<Record<string, string>>;
}

/** The command of a Celery worker that is tuned for little memory: docs/coming-from.md explains its flags. */
const geventCommand =
  '-A celery_worker.celery worker -Q api-scraper --without-gossip --without-mingle --without-heartbeat -P gevent -c 100 -I tasks.api_scraper';
/** The usual worker of Celery, which forks processes. */
const preforkCommand = '-A celery_worker.celery worker -Q api-scraper -c 1 -I tasks.api_scraper';

/** Prepares Celery, installed or unpacked from Debian's packages. Throws with what to do where neither is possible. */
export async function celeryContenders(): Promise<Contender[]> {
  const python = await findPython();
  const make = (key: string, name: string, command: string, more: Partial<Contender>): Contender => ({
    key,
    name,
    store: 'redis',
    quick: false,
    versions: python.versions,
    noopJobs: 2_000,
    askEveryMs: 20,
    launch: ({ url }) => ({
      program: python.program,
      args: ['-m', 'celery', ...command.split(' ')],
      cwd: app,
      env: environment(python, url),
    }),
    open: (url) => openSender(python, url),
    ...more,
  });
  return [
    make('celery-gevent', 'Celery gevent, tuned for little memory', geventCommand, {}),
    make('celery-prefork', 'Celery prefork -c 1, parent and child', preforkCommand, { idleOnly: true }),
  ];
}

function environment({ env }: Python, url: string): Record<string, string> {
  const path = [app, env.PYTHONPATH].filter(Boolean).join(':');
  // Without C_FORCE_ROOT, Celery warns root at each start about a serializer that is not used.
  return { ...env, PYTHONPATH: path, PYTHONDONTWRITEBYTECODE: '1', C_FORCE_ROOT: '1', REDIS_URL: url };
}

async function findPython(): Promise<Python> {
  const installed = (await tryPython('python3', {})) ?? (await tryPython('/usr/bin/python3', {}));
  if (installed) return installed;
  const root = await unpackCelery(resolve('.islet/bench/celery'));
  const libraries = (await run('sh', ['-c', `echo ${join(root, 'usr/lib')}/*-linux-*`])).stdout.trim();
  const env = { PYTHONPATH: join(root, 'usr/lib/python3/dist-packages'), LD_LIBRARY_PATH: libraries };
  const unpacked = await tryPython('/usr/bin/python3', env);
  if (unpacked) return unpacked;
  throw new Error('what was unpacked does not run; on Debian install python3-celery python3-gevent python3-redis');
}

async function tryPython(program: string, env: Record<string, string>): Promise<Python | undefined> {
  const script = `import ${wanted.join(', ')}, json, platform
print(json.dumps({"python": platform.python_version(), ${wanted.map((name) => `"${name}": ${name}.__version__`)}}))`;
  try {
    const { stdout } = await run(program, ['-c', script], { env: { PATH: process.env.PATH ?? '', ...env } });
    const { redis, ...versions } = JSON.parse(stdout) as Record<string, string>;
    return { program, env, versions: { ...versions, 'redis-py': redis ?? '' } };
  } catch {
    return undefined;
  }
}

async function openSender(python: Python, url: string): Promise<Sender> {
  const { PATH = '', HOME = '' } = process.env;
  const child = new Child({
    program: python.program,
    args: [join(app, 'send.py')],
    cwd: app,
    env: { PATH, HOME, ...environment(python, url) },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const { stdin, stdout } = child.process;
  if (stdin === null || stdout === null) throw new Error('The sender of Celery has no pipes.');
  const answers = createInterface(stdout);
  const redis = new Redis(url);
  const many: Sender['many'] = async (task, payloads) => {
    const answered = once(answers, 'line');
    stdin.write(`${JSON.stringify({ task, payloads })}\n`);
    await answered;
  };
  return {
    many,
    one: (task, payload) => many(task, [payload]),
    async busy() {
      const [waiting, taken] = await Promise.all([redis.llen('api-scraper'), redis.hlen('unacked')]);
      return waiting + taken > 0;
    },
    async close() {
      stdin.end();
      await child.exited;
      redis.disconnect();
    },
  };
}
