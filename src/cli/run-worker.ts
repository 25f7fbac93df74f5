import type { AppSource } from '../app/app-source.ts';
import type { Broker } from '../broker/broker.ts';
import { type BrokerOptions, connectBroker } from '../broker/bullmq-broker.ts';
import { type IsletConfig, readWorkerSettings, type WorkerSettings } from '../config.ts';
import { flagsOfUnits } from '../launch-profiles.ts';
import { createLog, type Log, openLines } from '../log.ts';
import { deriveJobId } from '../producer/job-id.ts';
import { prepareJob } from '../producer/prepare-job.ts';
import { SharedLines } from '../shared-lines.ts';
import { describeCurrentJob } from '../worker/attempt.ts';
import { bootstrap } from '../worker/bootstrap.ts';
import { blockedExitMs, exitLimitMs, type RunningWorker } from '../worker/running-worker.ts';
import type { OpenRedis } from './configured-redis.ts';
import { adviseLaunch } from './launch-advice.ts';
import { awaitStart, exitRefused, type ParentLine } from './parent-line.ts';
import { type Ending, listenForEnd } from './signals.ts';
import { checkMemoryLimit, watchRecycling } from './watch-recycling.ts';
import { planWorker, type WorkerFlags, type WorkerPlan } from './worker-flags.ts';

/** Where a worker's code and its Redis come from. */
export interface WorkerSurroundings {
  /** Called when the process may load the app. */
  openApp(): AppSource;
  /** The path of the program that runs tasks in threads and processes. */
  unitProgram: string;
  openRedis(config: IsletConfig): Promise<OpenRedis>;
}

const toMb = (bytes: number) => Math.round(bytes / 1_048_576);

function announce(worker: RunningWorker, log: Log): void {
  const rssMb = toMb(process.memoryUsage.rss());
  log.info({ queues: worker.queues, redis: worker.redis, rssMb }, 'Worker ready');
  if (!process.stdout.isTTY || process.channel) return;
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
      if (event.lost) log.warn({ reason: event.reason }, 'Redis is away: running jobs go on, their outcomes are held');
      else log.info({ downMs: event.downMs }, 'Redis is back');
    },
  };
}

function guardOptions(
  config: IsletConfig,
  limits: WorkerSettings,
  parent: ParentLine | undefined,
): NonNullable<BrokerOptions['guard']> {
  return {
    maxBlockMs: limits.maxBlockMs,
    stopWithinMs: limits.gracefulTimeoutMs + blockedExitMs,
    logs: config.log.level !== 'silent',
    describeCurrentJob,
    parent: parent?.pid,
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
  const { openLivez } = await import('../observe/livez.ts');
  const state = () => (isReady() ? 'ok' : 'starting');
  return openLivez(port, () => (ending.failed ? 'failed' : state()));
}

/** Watches the limits of this process: a parent is told, and what has none ends by itself if it was asked to. */
function watchLimits(
  worker: RunningWorker,
  { limits, exits }: WorkerPlan,
  parent: ParentLine | undefined,
  ending: Ending,
) {
  if (!parent && !exits) return undefined;
  return watchRecycling(worker, limits, {
    onLook: (load) => parent?.tell({ say: 'load', ...load }),
    onDue(why, state) {
      if (parent) parent.tell({ say: 'due', why });
      else ending.drain({ why, ...state }, 'A limit is reached: draining');
    },
    onExcess: (state) => ending.drain(state, 'Far above the memory limit: draining'),
  });
}

/** What a parent says to its worker, and that there is none any more. */
function obey(parent: ParentLine, ending: Ending, worker: () => RunningWorker | undefined): void {
  parent.listen({
    onMessage({ say }) {
      if (say === 'abort') ending.abort();
      if (say === 'died') void worker()?.recoverDead();
    },
    onGone: () => ending.drain({}, 'The parent process is gone: draining'),
  });
}

/** Connects, but not where memory is so short that the worker would be replaced again and again. */
async function connect(options: BrokerOptions, maxMemoryMb: number | undefined): Promise<Broker> {
  const broker = await connectBroker(options);
  try {
    checkMemoryLimit(maxMemoryMb);
    return broker;
  } catch (error) {
    await broker.close();
    throw error;
  }
}

/** What a start is given up with that is no longer wanted. */
class StoppedEarly extends Error {}

/** How long the process of a failed start may go on, in milliseconds: the error has to be reported. */
const failedExitMs = 1_000;

/** Runs queues' jobs until the process is told to stop, and returns its exit code. */
async function serve(
  flags: WorkerFlags,
  { openApp, openRedis, unitProgram }: WorkerSurroundings,
  parent: ParentLine | undefined,
): Promise<number> {
  const app = parent?.tellOf(openApp()) ?? openApp();
  const config = (await app.config()) as IsletConfig;
  const catalog = await app.manifests();
  for (const name of flags.queue) catalog.queue(name);
  const settings = readWorkerSettings(config);
  const plan = planWorker(flags, settings);
  const limits = { ...settings, gracefulTimeoutMs: flags.gracefulTimeout ?? settings.gracefulTimeoutMs };
  const { gracefulTimeoutMs, healthPort } = limits;
  const isGuarded = flags.guard && settings.guard;
  const lines = isGuarded ? new SharedLines() : undefined;
  const log = createLog(config.log.level, { shared: lines });
  let worker: RunningWorker | undefined;
  const onStop = (failed: boolean) => parent?.tell({ say: 'leaving', failed });
  const ending = listenForEnd(log, gracefulTimeoutMs, { supervised: parent !== undefined, onStop });
  const devRedis = flags.devRedis === true && !config.redis.url && config.env !== 'production';
  parent?.tell({ say: 'settings', gracefulTimeoutMs, healthPort, logLevel: config.log.level, devRedis });
  if (parent) obey(parent, ending, () => worker);
  const redis = await openRedis(config);
  if (redis.notice && !parent) process.stderr.write(`${redis.notice}\n`);
  const broker = {
    redis: redis.url,
    prefix: config.redis.prefix,
    slot: flags.slot,
    guard: isGuarded ? { ...guardOptions(config, limits, parent), lines: lines?.memory } : undefined,
    allowEviction: flags.allowEviction,
    mayForget: config.env !== 'production',
    ...reportRedis(log),
  };
  let health: { close(): void } | undefined;
  let watch: ReturnType<typeof watchLimits>;
  try {
    health = await answerHealth(parent ? 0 : (flags.healthPort ?? healthPort), ending, () => worker !== undefined);
    worker = await bootstrap({
      app,
      queues: [...new Set(flags.queue)],
      concurrency: flags.concurrency,
      config,
      limits,
      log,
      connect() {
        parent?.allow(gracefulTimeoutMs + exitLimitMs);
        return connect(broker, plan.limits.maxMemoryMb);
      },
      checkWanted() {
        if (ending.exitCode !== undefined) throw new StoppedEarly();
      },
      pools: { program: { file: unitProgram, execArgv: flagsOfUnits(process.execArgv) }, writeLine: openLines(log) },
      children: ({ send }) => ({ deriveId: deriveJobId, send, prepare: prepareJob }),
      onUnhealthy(error) {
        log.error({ code: error.code, error: error.message }, 'The worker has to be replaced');
        ending.fail();
      },
      onJobEnd: () => watch?.onJobEnd(),
    });
    announce(worker, log);
    advise(flags, log);
    parent?.sayReady(isGuarded);
    watch = watchLimits(worker, plan, parent, ending);
    const code = await ending.of(worker);
    log.info({ maxRssMb: Math.round(process.resourceUsage().maxRSS / 1_024) }, 'Worker stopped');
    return code;
  } catch (error) {
    if (error instanceof StoppedEarly) return ending.exitCode ?? 0;
    throw error;
  } finally {
    watch?.close();
    health?.close();
    await redis.close();
  }
}

/** Runs queues' jobs until the process is told to stop, then ends it. Throws what keeps the worker from its start. */
export async function runWorker(flags: WorkerFlags, surroundings: WorkerSurroundings): Promise<void> {
  const parent = flags.supervised ? await awaitStart() : undefined;
  const code = await serve(flags, surroundings, parent).catch((error) => {
    if (parent) exitRefused(error, false);
    // What was imported until then may keep the process alive.
    setTimeout(() => process.exit(), failedExitMs).unref();
    throw error;
  });
  // Code that ignored its signal may still run, and its job is another worker's now.
  process.exit(code);
}
