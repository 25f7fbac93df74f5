import type { AppSource } from '../app/app-source.ts';
import type { Broker } from '../broker/broker.ts';
import { type BrokerOptions, connectBroker } from '../broker/bullmq-broker.ts';
import { type IsletConfig, readWorkerSettings } from '../config.ts';
import type { Guard } from '../guard/guard.ts';
import { flagsOfUnits } from '../launch-profiles.ts';
import { createLog, type Log, LogOutput } from '../log.ts';
import { deriveJobId } from '../producer/job-id.ts';
import { prepareJob } from '../producer/prepare-job.ts';
import { SharedLines } from '../shared-lines.ts';
import { describeCurrentJob } from '../worker/attempt.ts';
import { bootstrap } from '../worker/bootstrap.ts';
import { blockedExitMs, exitLimitMs, type RunningWorker } from '../worker/running-worker.ts';
import type { OpenRedis } from './configured-redis.ts';
import { advise } from './launch-advice.ts';
import { awaitStart, exitRefused, type ParentLine } from './parent-line.ts';
import { Ending, stopSignalsOf } from './signals.ts';
import { checkMemoryLimit, readRssMb, watchRecycling } from './watch-recycling.ts';
import type { WorkerFlags } from './worker-flags.ts';
import { planWorker, type WorkerPlan } from './worker-plan.ts';

/** What a worker runs, and where its code and its Redis come from. */
export interface WorkerSource {
  queues: readonly string[];
  /** Called when the process may load the app. */
  openApp(): AppSource;
  /** The path of the program that runs tasks in threads and processes. */
  unitProgram: string;
  openRedis(config: IsletConfig): Promise<OpenRedis>;
  /** Lists the files that this process has loaded. */
  listFiles?: () => Promise<string[]>;
}

function announce(worker: RunningWorker, log: Log): void {
  const rssMb = readRssMb();
  log.info({ queues: worker.queues, redis: worker.broker.description, rssMb }, 'Worker ready');
  if (!process.stdout.isTTY || process.channel) return;
  const lines = worker.queues.map(
    ({ queue, tasks, concurrency }) => `  ${queue}: ${tasks.join(', ') || 'no tasks'}; ${concurrency} at a time`,
  );
  process.stderr.write(`islet worker on ${worker.broker.description}, ${rssMb} MB\n${lines.join('\n')}\n`);
}

/** Logs what a worker learns of its connection. */
function reportRedis(log: Log): Pick<BrokerOptions, 'onNotice' | 'onConnection'> {
  return {
    onNotice: (notice) => log.warn({ notice }, 'Redis settings'),
    onConnection(event) {
      if (event.lost) log.warn({ reason: event.reason }, 'Redis is away: running jobs go on, their outcomes are held');
      else log.info({ downMs: event.downMs }, 'Redis is back');
    },
  };
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

/** Thrown where a start goes on that is no longer wanted. */
class StoppedEarly extends Error {}

/** How long the process of a failed start may go on, in milliseconds: the error has to be reported. */
const failedExitMs = 1_000;

/** What was read before anything is opened. */
interface Prepared {
  flags: WorkerFlags;
  source: WorkerSource;
  parent: ParentLine | undefined;
  app: AppSource;
  config: IsletConfig;
  plan: WorkerPlan;
  guard: Guard | undefined;
}

type Given = Pick<Prepared, 'flags' | 'source' | 'parent' | 'guard'>;

async function prepare({ flags, source, parent, guard: started }: Given): Promise<Prepared> {
  const app = parent?.tellLoads(source.openApp()) ?? source.openApp();
  const config = (await app.config()) as IsletConfig;
  const catalog = await app.manifests();
  for (const name of source.queues) catalog.queue(name);
  const plan = planWorker(flags, readWorkerSettings(config));
  const guard = plan.settings.guard ? started : undefined;
  if (!guard) await started?.close();
  return { flags, source, parent, app, config, plan, guard };
}

/** The life of a worker process, from its first log line to its exit code. */
class WorkerRun {
  readonly #prepared: Prepared;
  /** Log lines that the guard's thread can write while this one is blocked. */
  readonly #lines: SharedLines | undefined;
  readonly #output: LogOutput;
  readonly #log: Log;
  readonly #ending: Ending;
  #worker: RunningWorker | undefined;
  #watch: ReturnType<typeof watchRecycling> | undefined;

  constructor(prepared: Prepared) {
    const { parent, config, plan, guard } = prepared;
    this.#prepared = prepared;
    this.#lines = guard && new SharedLines();
    this.#output = new LogOutput(this.#lines);
    this.#log = createLog(config.log.level, this.#output);
    this.#ending = new Ending(this.#log, plan.settings.gracefulTimeoutMs, {
      supervised: parent !== undefined,
      onStop: (failed) => parent?.tell({ say: 'leaving', failed }),
    });
  }

  /** Runs queues' jobs until the process is told to stop, and returns its exit code. */
  async run(): Promise<number> {
    const { source, parent, config, guard } = this.#prepared;
    if (parent) this.#listenTo(parent);
    const redis = await source.openRedis(config);
    if (redis.notice && !parent) process.stderr.write(`${redis.notice}\n`);
    let health: { close(): void } | undefined;
    try {
      health = await this.#answerHealth();
      await this.#ending.of(await this.#start(redis.url));
    } catch (error) {
      if (!(error instanceof StoppedEarly)) throw error;
    } finally {
      this.#watch?.close();
      health?.close();
      await guard?.close();
      await redis.close();
    }
    const exitCode = this.#ending.exitCode ?? 0;
    const maxRssMb = Math.round(process.resourceUsage().maxRSS / 1_024);
    if (this.#worker) this.#log.info({ exitCode, maxRssMb }, 'Worker stopped');
    return exitCode;
  }

  /** Tells the parent the settings, and hears what it says, and that there is none any more. */
  #listenTo(parent: ParentLine): void {
    const { flags, config, plan } = this.#prepared;
    const { gracefulTimeoutMs, healthPort } = plan.settings;
    const devRedis = flags.devRedis === true && !config.redis.url && config.env !== 'production';
    parent.tell({ say: 'settings', gracefulTimeoutMs, healthPort, logLevel: config.log.level, devRedis });
    parent.listen({
      onMessage: ({ say }) => {
        if (say === 'abort') this.#ending.abort();
        if (say === 'died') void this.#worker?.broker.recoverDead();
      },
      onGone: () => this.#ending.drain({}, 'The parent process is gone: draining'),
    });
  }

  /** Answers health checks where that is asked for. For supervised workers, the parent does. */
  async #answerHealth(): Promise<{ close(): void } | undefined> {
    const { parent, plan } = this.#prepared;
    const { healthPort } = plan.settings;
    if (parent || healthPort === 0) return undefined;
    const { openLivez } = await import('../observe/livez.ts');
    return openLivez(healthPort, () => {
      if (this.#ending.failed) return 'failed';
      return this.#worker ? 'ok' : 'starting';
    });
  }

  async #start(redis: string): Promise<RunningWorker> {
    const { flags, source, parent, app, config, plan } = this.#prepared;
    const log = this.#log;
    const worker = await bootstrap({
      app,
      queues: [...new Set(source.queues)],
      concurrency: flags.concurrency,
      config,
      limits: plan.settings,
      log,
      connect: async () => {
        parent?.allow(plan.settings.gracefulTimeoutMs + exitLimitMs);
        const guarded = this.#watchLoop(redis);
        const broker = await connect(this.#brokerOptions(redis), plan.settings.maxMemoryMb);
        // No job is taken before a block of the event loop is seen.
        await guarded;
        return broker;
      },
      checkWanted: () => {
        if (this.#ending.exitCode !== undefined) throw new StoppedEarly();
      },
      pools: {
        program: { file: source.unitProgram, execArgv: flagsOfUnits(process.execArgv) },
        writeLine: (line) => this.#output.write(line),
      },
      children: { deriveId: deriveJobId, prepare: prepareJob },
      onUnhealthy: (error) => {
        log.error({ code: error.code, error: error.message }, 'The worker has to be replaced');
        this.#ending.fail();
      },
      onJobEnd: () => this.#watch?.onJobEnd(),
    });
    this.#worker = worker;
    announce(worker, log);
    advise(flags, log);
    parent?.sayReady(plan.settings.guard);
    this.#watch = this.#watchLimits(worker);
    return worker;
  }

  #watchLoop(redis: string): Promise<void> | undefined {
    const { parent, config, plan, guard } = this.#prepared;
    const { maxBlockMs, gracefulTimeoutMs } = plan.settings;
    return guard?.watch({
      redis,
      maxBlockMs,
      stopSignals: stopSignalsOf(parent !== undefined),
      stopWithinMs: gracefulTimeoutMs + blockedExitMs,
      logs: config.log.level !== 'silent',
      describeCurrentJob,
      parent: parent?.pid,
      lines: this.#lines?.memory,
    });
  }

  #brokerOptions(redis: string): BrokerOptions {
    const { flags, config, guard } = this.#prepared;
    return {
      redis,
      prefix: config.redis.prefix,
      slot: flags.slot,
      guard,
      allowEviction: flags.allowEviction,
      mayForget: config.env !== 'production',
      ...reportRedis(this.#log),
    };
  }

  /** Watches the limits of this process: a parent is told; without one, the process ends by itself if it was asked to. */
  #watchLimits(worker: RunningWorker): ReturnType<typeof watchRecycling> | undefined {
    const { parent, plan, source } = this.#prepared;
    if (!parent && !plan.exits) return undefined;
    let jobs: number | undefined;
    return watchRecycling(worker, plan.settings, {
      onLook: (load) => {
        parent?.tell({ say: 'load', load });
        // A rare task is imported when its first job comes.
        if (load.jobs !== jobs) void parent?.tellFiles(source.listFiles);
        jobs = load.jobs;
      },
      onDue: (why, state) => {
        if (parent) parent.tell({ say: 'due', why });
        else this.#ending.drain({ why, ...state }, 'A limit is reached: draining');
      },
      onExcess: (state) => this.#ending.drain(state, 'Far above the memory limit: draining'),
    });
  }
}

/** Runs queues' jobs until the process is told to stop, then ends it. Throws what keeps the worker from its start. */
export async function runWorker(flags: WorkerFlags, source: WorkerSource, guard: Guard | undefined): Promise<void> {
  const parent = flags.supervised ? await awaitStart() : undefined;
  const serve = async () => new WorkerRun(await prepare({ flags, source, parent, guard })).run();
  const code = await serve().catch(async (error) => {
    await parent?.tellFiles(source.listFiles);
    if (parent) exitRefused(error, flags.verbose === true);
    // What was imported until then may keep the process alive.
    setTimeout(() => process.exit(), failedExitMs).unref();
    throw error;
  });
  // Code that ignored its signal may still run, and its job is another worker's now.
  process.exit(code);
}
