// Proves the image of each queue without a container engine: does what Dockerfile says, line by line, in bare Debian
// folders, starts the last stage's command there as its user, runs a job, asks for its health, and stops it. It needs
// Linux and root.
import { cp, mkdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { createProducer, type Producer } from 'islet/producer';
import { attachDevRedis } from '../../src/tools/dev-redis/dev-redis.ts';
import { freePort } from '../../src/tools/dev-redis/redis-child.ts';
import fitCurve from '../../tasks/fit-curve/manifest.ts';
import makeThumbnail from '../../tasks/make-thumbnail/manifest.ts';
import renderPdf from '../../tasks/render-pdf/manifest.ts';
import scrapePage from '../../tasks/scrape-page/manifest.ts';
import { Child } from '../kit/child.ts';
import { Cleanups } from '../kit/cleanups.ts';
import { notify, runProgram } from '../kit/main.ts';
import { parseFlags } from '../kit/options.ts';
import { addNode, lendNetwork, makeDebian, mountSystem, removeRoot, run } from './container-root.ts';
import { type ComposeService, type Instruction, readCompose, readImage, readStages, toMs } from './read-container.ts';

const work = join(process.cwd(), '.islet/container');
const prefix = `islet-container-${process.pid}`;
const picture = '<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32"><rect width="32" height="32"/></svg>';

const page = createServer((_, response) => {
  response.setHeader('content-type', 'text/html').end('<title>A page</title><a href="/next">next</a>');
});

/** One job for each queue; each has to complete. */
const jobs: Record<string, (producer: Producer) => Promise<{ result(): Promise<unknown> }>> = {
  'api-scraper': (producer) =>
    producer.enqueue(
      scrapePage,
      { url: `http://127.0.0.1:${(page.address() as AddressInfo).port}/` },
      { keepResultMs: 60_000 },
    ),
  documents: (producer) =>
    producer.enqueue(renderPdf, { name: 'report', title: 'A report', paragraphs: ['One.'] }, { keepResultMs: 60_000 }),
  images: (producer) =>
    producer.enqueue(
      makeThumbnail,
      { source: '.islet/picture.svg', name: 'small', width: 16 },
      { keepResultMs: 60_000 },
    ),
  science: (producer) =>
    producer.enqueue(
      fitCurve,
      {
        points: [
          { x: 0, y: 0 },
          { x: 1, y: 2 },
          { x: 2, y: 4 },
        ],
        degree: 1,
      },
      { keepResultMs: 60_000 },
    ),
};

/** What an image is while it is made: a folder, and what its instructions have set. */
interface Stage {
  root: string;
  folder: string;
  env: NodeJS.ProcessEnv;
}

const systemPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Returns the command line that runs a command within a stage's folder. */
function enter({ root, folder, env }: Stage, command: string[], user = '0:0'): [string, string[]] {
  const variables = Object.entries({ PATH: systemPath, ...env }).map(([name, value]) => `${name}=${value}`);
  // Each program replaces the one before it, so what is started is the command itself.
  return ['chroot', [`--userspec=${user}`, root, 'env', '-i', '-C', folder, ...variables, ...command]];
}

async function copy(stage: Stage, rest: string, from: Stage | undefined): Promise<void> {
  const words = rest.split(' ').filter((word) => !word.startsWith('--'));
  const target = words.at(-1) ?? '';
  for (const word of words.slice(0, -1)) {
    const source = from ? join(from.root, word) : join(work, 'context', word);
    const to = join(stage.root, target.startsWith('/') ? target : join(stage.folder, target));
    const isFile = (await run('stat', ['-c', '%F', source])) !== 'directory';
    await cp(source, isFile && target.endsWith('/') ? join(to, word) : to, { recursive: true });
  }
}

async function follow(stage: Stage, instructions: Instruction[], args: NodeJS.ProcessEnv, from?: Stage): Promise<void> {
  for (const { name, rest } of instructions) {
    if (name === 'WORKDIR') {
      stage.folder = rest;
      await mkdir(join(stage.root, rest), { recursive: true });
    } else if (name === 'COPY') {
      await copy(stage, rest, rest.startsWith('--from=') ? from : undefined);
    } else if (name === 'RUN') {
      console.log(`  RUN ${rest}`);
      await run(...enter({ ...stage, env: { ...stage.env, ...args } }, ['sh', '-c', rest]));
    }
  }
}

async function makeStage(debian: string, name: string): Promise<Stage> {
  const root = join(work, name);
  await removeRoot(root);
  await run('cp', ['-a', debian, root]);
  return { root, folder: '/', env: {} };
}

const readProcess = async (pid: number, file: string) =>
  (await readFile(`/proc/${pid}/${file}`, 'utf8')).replaceAll('\0', ' ').trim();

/** Starts the image's command, and does with it what compose and a user do. */
async function prove(queue: string, image: Stage, last: Instruction[], service: ComposeService, redisUrl: string) {
  const { command, env, user } = readImage(last);
  const port = String(await freePort());
  const more = { REDIS_URL: redisUrl, REDIS_PREFIX: prefix, WORKER_HEALTH_PORT: port, SCRAPER_ALLOW_PRIVATE: 'true' };
  const stage = { ...image, env: { ...env, ...service.environment, ...more } };
  const [program, args] = enter(stage, command, user);
  const child = new Child({ program, args });
  if (!(await child.says('"Worker ready"'))) throw new Error(`The worker ended:\n${child.output}`);
  const ids = /^Uid:\s+(\d+)\s+(\d+)/m
    .exec(await readProcess(child.pid, 'status'))
    ?.slice(1)
    .join('/');
  const started = await readProcess(child.pid, 'cmdline');
  const check = service.healthcheck.test.slice(1).map((word) => word.replace('8080', port));
  await run(...enter(stage, check, user));
  const producer = createProducer({ redis: redisUrl, prefix });
  const result = await jobs[queue]?.(producer).then((job) => job.result());
  await producer.close();
  const written = await run(...enter(stage, ['sh', '-c', 'touch worker.js 2>/dev/null && echo yes || echo no'], user));
  const startedAt = performance.now();
  child.kill('SIGTERM');
  const { code } = await child.closed;
  const stopMs = Math.round(performance.now() - startedAt);
  if (stopMs > toMs(service.stop_grace_period)) throw new Error(`The stop took ${stopMs} ms.`);
  if (code !== 0 || ids?.includes('0/') || written !== 'no')
    throw new Error(`code ${code}, ids ${ids}\n${child.output}`);
  const size = await run('du', ['-sm', join(stage.root, stage.folder)]);
  const [, maxRssMb] = /"maxRssMb":(\d+)/.exec(child.output) ?? [];
  return { queue, started, uid: ids, result, folderMb: Number.parseInt(size, 10), maxRssMb, stopMs, code };
}

/** Reads Dockerfile. Throws when its stages stand on different systems. */
async function readDockerfile() {
  const [first = [], last = []] = readStages(await readFile('Dockerfile', 'utf8'));
  const [, version = '', release = ''] = /^node:(\d+)-(\w+)-slim /.exec(first[0]?.rest ?? '') ?? [];
  if (last[0]?.rest !== `debian:${release}-slim`) throw new Error('The stages of Dockerfile have different systems.');
  return { first, last, version, release };
}

/** Copies what Git knows of this checkout, in place of what an engine sends as its build context. */
async function copyContext(): Promise<void> {
  await rm(join(work, 'context'), { recursive: true, force: true });
  for (const file of (await run('git', ['ls-files'])).split('\n')) {
    await mkdir(join(work, 'context', dirname(file)), { recursive: true });
    await cp(file, join(work, 'context', file));
  }
}

async function main(halted: AbortSignal): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error('This needs root: it makes folders of another system and enters them.');
  await mkdir(work, { recursive: true });
  const { first, last, version, release } = await readDockerfile();
  const compose = readCompose('compose.yaml', { REDIS_PASSWORD: 'unused' });
  const debian = await makeDebian(work, release);
  await copyContext();

  console.log(`FROM ${first[0]?.rest}`);
  const build = await makeStage(debian, 'build');
  await addNode(build.root, work, version);
  const cleanups = new Cleanups();
  cleanups.add(async () => {
    for (const name of ['build', 'image', 'context']) await removeRoot(join(work, name));
  });
  cleanups.add(await mountSystem(build.root));
  const proved: unknown[] = [];
  try {
    const redis = await attachDevRedis({ root: process.cwd(), path: process.env.PATH });
    cleanups.add(() => redis.close());
    page.listen(0, '127.0.0.1');
    cleanups.add(() => page.close());
    const network = await lendNetwork(build.root);
    // The layers that do not depend on the queue come first, and are shared.
    const at = first.findIndex(({ name }) => name === 'ARG');
    await follow(build, first.slice(0, at), network);
    for (const queue of Object.keys(jobs)) {
      halted.throwIfAborted();
      const service = compose.services[queue];
      if (!service) throw new Error(`compose.yaml has no service "${queue}".`);
      await rm(join(build.root, 'worker'), { recursive: true, force: true });
      await follow(build, first.slice(at), { ...network, QUEUE: queue });
      console.log(`FROM ${last[0]?.rest}`);
      const image = await makeStage(debian, 'image');
      const leave = await mountSystem(image.root);
      try {
        await follow(image, last, {}, build);
        await run(...enter(image, ['sh', '-c', `echo '${picture}' > .islet/picture.svg`]));
        proved.push(await prove(queue, image, last, service, redis.url));
      } finally {
        await leave();
      }
    }
  } finally {
    await cleanups.run(notify);
  }
  console.log(JSON.stringify(proved, null, 2));
}

process.exitCode = await runProgram(async (args, { signal }) => {
  parseFlags(args, {});
  await main(signal);
  return 0;
});
