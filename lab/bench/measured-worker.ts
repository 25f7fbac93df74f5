import { Child, describeEnd, tryKill } from '../kit/child.ts';
import { settlesWithin } from '../kit/wait.ts';
import { cpuSecondsOf, type Memory, memoryOf, type PrivatePeak, treeOf, watchPrivate } from './process-tree.ts';

/** A command line, as an operator would write it. */
export interface Launch {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** Variables on top of the few that any shell has. */
  readonly env: Readonly<Record<string, string>>;
}

const readyLimitMs = 120_000;
const stopLimitMs = 10_000;

/** A worker under measurement: its process and the processes that it starts. */
export class MeasuredWorker {
  /** Resolves when the worker takes jobs. */
  readonly ready: Promise<void>;
  readonly #child: Child;
  #frozen: readonly number[] = [];

  /** Starts a worker. What it prints is read and dropped, as a collector of logs would take it. */
  constructor({ program, args, cwd, env }: Launch) {
    // The worker gets nothing of this process's environment but what any shell has: NODE_OPTIONS would change the figures.
    const own = { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', LANG: 'C.UTF-8', NODE_ENV: 'production' };
    this.#child = new Child({ program, args, cwd, env: { ...own, ...env } });
    this.ready = this.#untilReady([program, ...args].join(' '));
    // Whoever waits hears of a failure; a case that does not wait must not end the run.
    this.ready.catch(() => {});
  }

  /** Reads the memory of the worker's process and its children, or of its process alone. */
  memory(of: 'all' | 'alone' = 'all'): Memory {
    return memoryOf(of === 'all' ? this.#tree() : [this.#child.pid]);
  }

  /** Begins to watch the private memory of all processes; the result ends that, and returns the most that was seen. */
  watchPrivate(): () => PrivatePeak {
    return watchPrivate(this.#child.pid);
  }

  cpuSeconds(): number {
    return cpuSecondsOf(this.#child.pid);
  }

  /** Stops all processes where they are, so that a backlog can be laid before the clock starts. */
  freeze(): void {
    this.#frozen = this.#tree();
    signalAll(this.#frozen, 'SIGSTOP');
  }

  thaw(): void {
    signalAll(this.#frozen, 'SIGCONT');
  }

  /** Asks the worker to end, and kills all its processes when that takes too long. */
  async stop(): Promise<void> {
    const tree = this.#tree();
    this.#child.kill('SIGTERM');
    if (!(await settlesWithin(this.#child.exited, stopLimitMs))) signalAll(tree, 'SIGKILL');
    await this.#child.exited;
  }

  #tree(): number[] {
    return treeOf(this.#child.pid);
  }

  async #untilReady(shown: string): Promise<void> {
    const ready = this.#child.says(/\bready\b/i);
    if (!(await settlesWithin(ready, readyLimitMs))) {
      throw new Error(`${shown} was not ready in time.\n${this.#child.output}`);
    }
    if (await ready) return;
    throw new Error(`${shown} ended with ${describeEnd(await this.#child.exited)}.\n${this.#child.output}`);
  }
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) tryKill(pid, signal);
}
