import { resolve } from 'node:path';
import { Child, describeEnd } from '../kit/child.ts';
import type { Library } from './plan.ts';

export interface Surroundings {
  readonly redisUrl: string;
  readonly ledger: string;
  readonly logs: string;
}

const stopLimitMs = 30_000;
const workerOf = (library: Library) =>
  library === 'islet'
    ? { args: [resolve('bin/islet.js'), 'worker', '--queue', 'mail'], cwd: resolve('dist/lab/migration/app') }
    : { args: [resolve('dist/lab/migration/plain-worker.js'), library], cwd: process.cwd() };

function start(
  { args, cwd }: { args: readonly string[]; cwd: string },
  { redisUrl, ledger, logs }: Surroundings,
): Child {
  const env = {
    ...process.env,
    REDIS_URL: redisUrl,
    MIGRATION_LEDGER: ledger,
    NODE_ENV: 'production',
    WORKER_GRACEFUL_TIMEOUT: '10s',
  };
  const child = new Child({ program: process.execPath, args, cwd, env });
  void child.logTo(`${logs}/${child.pid}.log`);
  return child;
}

async function untilReady(child: Child, sign: string): Promise<Child> {
  if (await child.says(sign)) return child;
  throw new Error(
    `A process ended before it was ready (${describeEnd(await child.exited)}): ${child.output.slice(-400)}`,
  );
}

export async function stop(child: Child): Promise<void> {
  await child.stop(stopLimitMs);
}

/** A worker of one library, whose process can be replaced. */
export class WorkerSlot {
  readonly library: Library;
  readonly #in: Surroundings;
  #child: Child | undefined;

  constructor(library: Library, surroundings: Surroundings) {
    this.library = library;
    this.#in = surroundings;
  }

  async start(): Promise<void> {
    this.#child = await untilReady(start(workerOf(this.library), this.#in), 'Worker ready');
  }

  /** Starts the successor first, and then stops the process: what a rolling deploy does. */
  async replace(): Promise<void> {
    const before = this.#child;
    await this.start();
    if (before) await stop(before);
  }

  async stop(): Promise<void> {
    if (this.#child) await stop(this.#child);
  }
}

/** A producer of one library, which sends the jobs of a range, also when its process is replaced. */
export class ProducerSlot {
  readonly #library: Library;
  readonly #name: string;
  readonly #count: number;
  readonly #pauseMs: number;
  readonly #in: Surroundings;
  #next = 0;
  #child: Child | undefined;

  constructor(library: Library, job: { name: string; count: number; pauseMs: number }, surroundings: Surroundings) {
    this.#library = library;
    this.#name = job.name;
    this.#count = job.count;
    this.#pauseMs = job.pauseMs;
    this.#in = surroundings;
  }

  async start(): Promise<void> {
    const range = [this.#name, this.#next, this.#count - this.#next, this.#pauseMs].map(String);
    const args = [resolve('dist/lab/migration/producer.js'), this.#library, ...range];
    this.#child = await untilReady(start({ args, cwd: process.cwd() }, this.#in), 'Producer ready');
  }

  /** Stops the process between two jobs, and starts another one that goes on. */
  async replace(): Promise<void> {
    if (this.#child) await stop(this.#child);
    await this.#finished();
    await this.start();
  }

  /** Resolves when all jobs of the range are sent. */
  async done(): Promise<void> {
    await this.#finished();
    if (this.#next < this.#count) throw new Error(`Producer ${this.#name} sent ${this.#next} of ${this.#count} jobs.`);
  }

  async #finished(): Promise<void> {
    const child = this.#child;
    const end = await child?.closed;
    const sent = /Sent up to (\d+)/.exec(child?.output ?? '')?.[1];
    if (sent === undefined)
      throw new Error(`A producer failed (${end && describeEnd(end)}): ${child?.output.slice(-400)}`);
    this.#next = Number(sent);
  }
}
