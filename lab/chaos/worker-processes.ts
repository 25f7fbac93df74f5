import { setTimeout as sleep } from 'node:timers/promises';
import { settlesWithin } from './children.ts';
import { exitSlackMs, graceMs } from './limits.ts';
import { type KeptProcesses, startWorkerProcess, type WorkerProcess, type WorkerSettings } from './worker-process.ts';

/** A stop that was asked for by SIGTERM. */
export interface Shutdown {
  readonly pid: number;
  readonly at: number;
  readonly tookMs: number;
}

/** An end that nobody asked for, kills included. */
export interface Death {
  readonly pid: number;
  readonly at: number;
  readonly how: string;
}

/** A worker that starts while Redis is away ends again: it must not be restarted in a tight loop. */
const restartPauseMs = 500;
const readyLimitMs = 90_000;
/** One that neither becomes ready nor ends is killed: Redis is never away for so long. */
const startLimitMs = 30_000;
const pollEveryMs = 50;
/** A process that is over its deadline gets so long to show when it does end. */
const overdueLimitMs = 20_000;

/** Keeps a number of worker processes alive: one that dies is replaced at once, as by a supervisor on the same host. */
export class WorkerProcesses {
  readonly shutdowns: Shutdown[] = [];
  readonly deaths: Death[] = [];
  readonly #settings: (slot: number) => WorkerSettings;
  /** All that ever were. */
  readonly #started: WorkerProcess[] = [];
  readonly #halt: AbortController;
  readonly #slots: WorkerProcess[] = [];
  readonly #asked = new Set<WorkerProcess>();
  readonly #running = new Set<WorkerProcess>();
  #closed = false;

  constructor(settings: (slot: number) => WorkerSettings, halt: AbortController) {
    this.#settings = settings;
    this.#halt = halt;
  }

  async start(count: number): Promise<void> {
    for (let slot = 0; slot < count; slot++) this.#fill(slot);
    await Promise.all(this.#slots.map((_, slot) => this.#untilReady(slot)));
  }

  get count(): number {
    return this.#slots.length;
  }

  /** Sends a signal to the present worker of a slot, and returns its pid. */
  signal(slot: number, signal: NodeJS.Signals): number {
    const worker = this.#slots[slot];
    worker?.kill(signal);
    return worker?.pid ?? -1;
  }

  /** What supervisors have kept, also those that are gone. */
  get kept(): KeptProcesses[] {
    return this.#started.map(({ kept }) => kept);
  }

  /** Kills one of the workers that the supervisors keep; `pick` chooses, from 0 on. Returns its pid. */
  killKept(pick: number): number | undefined {
    const living = [...this.#running].flatMap(({ kept }) => [...kept.living]);
    const pid = living[pick % living.length];
    if (pid === undefined) return undefined;
    try {
      process.kill(pid, 'SIGKILL');
      return pid;
    } catch {
      // It has just ended.
      return undefined;
    }
  }

  /** Kills a supervisor; its workers count as told to stop then. Returns its pid. */
  async killParent(): Promise<number> {
    const parent = [...this.#running].find(({ kept }) => kept.living.size > 0);
    if (!parent) return -1;
    const orphans = [...parent.kept.living];
    parent.kill('SIGKILL');
    await parent.exited;
    const at = Date.now();
    await Promise.all(
      orphans.map(async (pid) => {
        await untilGone(pid, graceMs + exitSlackMs + overdueLimitMs);
        this.shutdowns.push({ pid, at, tookMs: Date.now() - at });
      }),
    );
    return parent.pid;
  }

  /** Starts the successor first, then stops the present worker of the slot. */
  async replace(slot: number): Promise<void> {
    const before = this.#slots[slot];
    this.#fill(slot);
    await this.#untilReady(slot);
    if (before !== undefined) await this.#stop(before);
  }

  /** Stops all workers by SIGTERM. */
  async stop(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#running].map((worker) => this.#stop(worker)));
  }

  /** Ends what still runs, at once. */
  async close(): Promise<void> {
    this.#closed = true;
    const left = [...this.#running];
    for (const worker of left) worker.kill('SIGKILL');
    await Promise.all(left.map(({ exited }) => exited));
  }

  #fill(slot: number): void {
    const worker = startWorkerProcess(this.#settings(slot));
    this.#started.push(worker);
    this.#slots[slot] = worker;
    this.#running.add(worker);
    void this.#watch(slot, worker);
  }

  async #watch(slot: number, worker: WorkerProcess): Promise<void> {
    const hangs = !(await settlesWithin(worker.ready, startLimitMs));
    if (hangs) worker.kill('SIGKILL');
    const how = hangs ? `no sign of readiness in ${startLimitMs / 1_000} s` : await worker.exited;
    await worker.exited;
    this.#running.delete(worker);
    if (this.#asked.has(worker)) return;
    this.deaths.push({ pid: worker.pid, at: Date.now(), how });
    if (!(await worker.ready)) await sleep(restartPauseMs);
    if (!this.#closed && !this.#halt.signal.aborted && this.#slots[slot] === worker) this.#fill(slot);
  }

  async #untilReady(slot: number): Promise<void> {
    const deadline = Date.now() + readyLimitMs;
    while (Date.now() < deadline) {
      this.#halt.signal.throwIfAborted();
      // Asked for anew each time: a worker that did not become ready has been replaced.
      const ready = this.#slots[slot]?.ready ?? Promise.resolve(false);
      if ((await settlesWithin(ready, pollEveryMs)) && (await ready)) return;
      await sleep(pollEveryMs);
    }
    throw new Error(`No worker was ready within ${readyLimitMs / 1_000} s.`);
  }

  async #stop(worker: WorkerProcess): Promise<void> {
    if (!this.#running.has(worker)) return;
    const at = Date.now();
    this.#asked.add(worker);
    worker.kill('SIGTERM');
    if (!(await settlesWithin(worker.exited, graceMs + exitSlackMs + overdueLimitMs))) worker.kill('SIGKILL');
    await worker.exited;
    this.shutdowns.push({ pid: worker.pid, at, tookMs: Date.now() - at });
  }
}

async function untilGone(pid: number, limitMs: number): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (isAlive(pid) && Date.now() < deadline) await sleep(pollEveryMs);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
