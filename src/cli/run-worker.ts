import type { AppSource } from '../app/app-source.ts';
import { type BrokerOptions, connectBroker } from '../broker/bullmq-broker.ts';
import { type IsletConfig, readWorkerSettings } from '../config.ts';
import type { ProfileName } from '../launch-profiles.ts';
import { createLog, type Log } from '../log.ts';
import { deriveJobId } from '../producer/job-id.ts';
import { prepareJob } from '../producer/prepare-job.ts';
import { blockedExitMs, bootstrap, type WorkerProcess } from '../worker/bootstrap.ts';
import { describeCurrentJob } from '../worker/run-job.ts';
import type { OpenRedis } from './configured-redis.ts';
import { adviseLaunch } from './launch-advice.ts';
import { type Ending, listenForEnd } from './signals.ts';
import { untilStarted } from './supervised.ts';

/** How a worker was asked to run, on its command line. */
export interface WorkerFlags {
  queue: string[];
  concurrency?: number;
  /** In milliseconds. */
  gracefulTimeout?: number;
  slot?: string;
  guard: boolean;
  allowEviction?: boolean;
  /** The launch line that is meant; without it, the default one. */
  profile?: ProfileName;
  /** 0 for nowhere. */
  healthPort?: number;
  supervised?: boolean;
}

/** Where a worker's code and its Redis come from. */
export interface WorkerSurroundings {
  /** Called when the process may load the app. */
  openApp(): AppSource;
  openRedis(config: IsletConfig): Promise<OpenRedis>;
}

const toMb = (bytes: number) => Math.round(bytes / 1_048_576);

function announce(worker: WorkerProcess, log: Log): void {
  const rssMb = toMb(process.memoryUsage.rss());
  log.info({ queues: worker.queues, redis: worker.redis, rssMb }, 'Worker ready');
  if (!process.stdout.isTTY) return;
  const lines = worker.queues.map(
    ({ queue, tasks, concurrency }) => `  ${queue}: ${tasks.join(', ') || 'no tasks'}; ${concurrency} at a time`,
  );
  process.stderr.write(`islet worker on ${worker.redis}, ${rssMb} MB\n${lines.join('\n')}\n`);
}

/** What a worker tells of its connection, in its log. */
function reportRedis(log: Log): Pick<BrokerOptions, 'onNotice' | 'onConnection'> {
  return {
    onNotice: (notice) => log.warn({ notice }, 'Redis settings'),
    onConnection(event) {
      if (event.lost) log.warn({}, 'Redis is away: running jobs go on, their outcomes are held');
      else log.info({ downMs: event.downMs }, 'Redis is back');
    },
  };
}

/** Says how less memory could be used; a worker that a parent started, or who knows what it does, has no need of it. */
function advise(flags: WorkerFlags, log: Log): void {
  const { execArgv, argv, platform } = process;
  const advice = flags.supervised ? undefined : adviseLaunch({ execArgv, argv, platform, profile: flags.profile });
  if (!advice) return;
  log.info(advice.fields, 'Started in another launch profile');
  if (process.stdout.isTTY) process.stderr.write(`${advice.text}\n`);
}

/** Answers health checks, where that is asked for; of a supervised worker its parent knows. */
async function answerHealth(
  port: number,
  ending: Ending,
  isReady: () => boolean,
): Promise<{ close(): void } | undefined> {
  if (port === 0) return undefined;
  const { openLivez } = await import('./livez.ts');
  const state = () => (isReady() ? 'ok' : 'starting');
  return openLivez(port, () => (ending.failed ? 'failed' : state()));
}

/** How long the process of a failed start may go on, in milliseconds: the error has to be reported. */
const failedExitMs = 1_000;

/** Runs queues' jobs until the process is told to stop, and returns its exit code. */
async function serve(flags: WorkerFlags, { openApp, openRedis }: WorkerSurroundings): Promise<number> {
  const parent = flags.supervised ? await untilStarted() : undefined;
  const opened = openApp();
  const app = parent?.tellOf(opened) ?? opened;
  const config = (await app.config()) as IsletConfig;
  const catalog = await app.manifests();
  for (const name of flags.queue) catalog.queue(name);
  const settings = readWorkerSettings(config);
  const limits = { ...settings, gracefulTimeoutMs: flags.gracefulTimeout ?? settings.gracefulTimeoutMs };
  const log = createLog(config.log.level);
  const ending = listenForEnd(log, limits.gracefulTimeoutMs);
  const redis = await openRedis(config);
  if (redis.notice && !flags.supervised) process.stderr.write(`${redis.notice}\n`);
  const guard = {
    maxBlockMs: settings.maxBlockMs,
    stopWithinMs: limits.gracefulTimeoutMs + blockedExitMs,
    logs: config.log.level !== 'silent',
    describeCurrentJob,
    parent: parent?.pid,
  };
  const isGuarded = flags.guard && settings.guard;
  let ready = false;
  let health: { close(): void } | undefined;
  try {
    const port = flags.supervised ? 0 : (flags.healthPort ?? settings.healthPort);
    health = await answerHealth(port, ending, () => ready);
    const worker = await bootstrap({
      app,
      queues: [...new Set(flags.queue)],
      concurrency: flags.concurrency,
      config,
      limits,
      log,
      connect: () => {
        parent?.drainWithout(ending, limits.gracefulTimeoutMs);
        return connectBroker({
          redis: redis.url,
          prefix: config.redis.prefix,
          slot: flags.slot,
          guard: isGuarded ? guard : undefined,
          allowEviction: flags.allowEviction,
          mayForget: config.env !== 'production',
          ...reportRedis(log),
        });
      },
      children: ({ send }) => ({ deriveId: deriveJobId, send, prepare: prepareJob }),
      onUnhealthy(error) {
        log.error({ code: error.code, error: error.message }, 'The worker has to be replaced');
        ending.fail();
      },
    });
    ready = true;
    announce(worker, log);
    advise(flags, log);
    parent?.sayReady(isGuarded);
    const code = await ending.of(worker);
    log.info({ maxRssMb: Math.round(process.resourceUsage().maxRSS / 1_024) }, 'Worker stopped');
    return code;
  } finally {
    health?.close();
    await redis.close();
  }
}

/** Runs queues' jobs until the process is told to stop, then ends it. Throws what keeps the worker from its start. */
export async function runWorker(flags: WorkerFlags, surroundings: WorkerSurroundings): Promise<void> {
  const code = await serve(flags, surroundings).catch((error) => {
    // What was imported until then may keep the process alive.
    setTimeout(() => process.exit(), failedExitMs).unref();
    throw error;
  });
  // Code that ignored its signal may still run, and its job is another worker's now.
  process.exit(code);
}
