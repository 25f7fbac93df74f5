import { setTimeout as sleep } from 'node:timers/promises';
import { tryKill } from '../kit/child.ts';
import { settlesWithin, until } from '../kit/wait.ts';
import { exitSlackMs, graceMs } from './limits.ts';
import { type Death, Target, type TargetSettings } from './target.ts';

/** The end of a process that was asked for by SIGTERM. */
export interface Shutdown {
  readonly pid: number;
  readonly at: number;
  readonly tookMs: number;
}

/** A worker that starts while Redis is away ends again, and must not be restarted in a tight loop. */
const restartPauseMs = 500;
const readyLimitMs = 90_000;
/** Redis is never away for so long: a target that by then is neither ready nor gone is killed. */
const startLimitMs = 30_000;
const pollEveryMs = 50;
/** How long a process that is over its deadline may take to end before it is killed. */
const overdueLimitMs = 20_000;
const stopLimitMs = graceMs + exitSlackMs + overdueLimitMs;

/** Keeps a number of targets alive: one that dies is replaced at once, as by a supervisor on the same host. */
export class Fleet {
  readonly shutdowns: Shutdown[] = [];
  /** The deaths of targets; those of workers below a supervisor stand in its target. */
  readonly deaths: Death[] = [];
  /** Every target that ever was. */
  readonly targets: Target[] = [];
  readonly #settings: (slot: number) => TargetSettings;
  readonly #halt: AbortController;
  readonly #slots: Target[] = [];
  readonly #asked = new Set<Target>();
  readonly #running = new Set<Target>();
  #closed = false;

  constructor(settings: (slot: number) => TargetSettings, halt: AbortController) {
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

  /** Sends a signal to the present target of a slot, and returns its pid. */
  signal(slot: number, signal: NodeJS.Signals): number {
    const target = this.#slots[slot];
    target?.kill(signal);
    return target?.pid ?? -1;
  }

  /** Kills one of the workers below the supervisors; `pick` chooses, from 0 on. Returns its pid. */
  killKept(pick: number): number | undefined {
    const living = [...this.#running].flatMap((target) => [...target.living]);
    const pid = living[pick % living.length];
    return pid !== undefined && tryKill(pid, 'SIGKILL') ? pid : undefined;
  }

  /** Kills a supervisor; its workers count as told to stop then. Returns its pid. */
  async killParent(): Promise<number> {
    const parent = [...this.#running].find(({ living }) => living.size > 0);
    if (!parent) return -1;
    const orphans = [...parent.living];
    parent.kill('SIGKILL');
    await parent.exited;
    const at = Date.now();
    await Promise.all(
      orphans.map(async (pid) => {
        await until(() => !tryKill(pid, 0), { everyMs: pollEveryMs, limitMs: stopLimitMs });
        this.shutdowns.push({ pid, at, tookMs: Date.now() - at });
      }),
    );
    return parent.pid;
  }

  /** Starts the successor first, then stops the present target of the slot. */
  async replace(slot: number): Promise<void> {
    const before = this.#slots[slot];
    this.#fill(slot);
    await this.#untilReady(slot);
    if (before !== undefined) await this.#stop(before);
  }

  /** Stops all targets by SIGTERM. */
  async stop(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#running].map((target) => this.#stop(target)));
  }

  /** Ends what still runs, at once. */
  async close(): Promise<void> {
    this.#closed = true;
    const left = [...this.#running];
    for (const target of left) target.kill('SIGKILL');
    await Promise.all(left.map(({ exited }) => exited));
  }

  #fill(slot: number): void {
    const target = new Target(this.#settings(slot));
    this.targets.push(target);
    this.#slots[slot] = target;
    this.#running.add(target);
    void this.#watch(slot, target);
  }

  async #watch(slot: number, target: Target): Promise<void> {
    const hangs = !(await settlesWithin(target.ready, startLimitMs));
    if (hangs) target.kill('SIGKILL');
    const how = hangs ? `no sign of readiness in ${startLimitMs / 1_000} s` : await target.exited;
    await target.exited;
    this.#running.delete(target);
    if (this.#asked.has(target)) return;
    this.deaths.push({ pid: target.pid, at: Date.now(), how });
    if (!(await target.ready)) await sleep(restartPauseMs);
    if (!this.#closed && !this.#halt.signal.aborted && this.#slots[slot] === target) this.#fill(slot);
  }

  async #untilReady(slot: number): Promise<void> {
    // The slot is looked up each time: a target that did not become ready has been replaced.
    const isReady = async () => {
      const ready = this.#slots[slot]?.ready ?? Promise.resolve(false);
      return (await settlesWithin(ready, pollEveryMs)) && ready;
    };
    const patience = { everyMs: pollEveryMs, limitMs: readyLimitMs, halted: this.#halt.signal };
    if (await until(isReady, patience)) return;
    throw new Error(`No worker was ready within ${readyLimitMs / 1_000} s.`);
  }

  async #stop(target: Target): Promise<void> {
    if (!this.#running.has(target)) return;
    const at = Date.now();
    this.#asked.add(target);
    await target.stop(stopLimitMs);
    this.shutdowns.push({ pid: target.pid, at, tookMs: Date.now() - at });
  }
}
