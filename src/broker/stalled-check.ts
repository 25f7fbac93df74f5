import type { Locks } from './locks.ts';
import { lookForStalled, putBack } from './scripts.ts';
import type { WorkerScope } from './worker-scope.ts';

/** A connection is opened anew after so long without an answer: a host that vanished says nothing at all. */
const silenceLimitMs = 15_000;

/** A fetch whose reply is missing so long after Redis has answered others is lost. */
const replyLimitMs = 1_000;

/** Gives back jobs whose lock ran out, as every worker does in turn, and those whose reply never arrived. */
export class StalledCheck {
  readonly #scope: WorkerScope;
  readonly #locks: Locks;
  readonly #onLook: (stalled: string[]) => void;
  /** Since when Redis has had jobs for this worker's that are unknown here, by id and token: a reply may be on its way. */
  #unknownSince = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #looking = false;
  /** The waits before the next looks, when these are to come sooner than usual. */
  #soonMs: number[] = [];

  /** `onLook` is called after each look that Redis answered, with the ids of jobs that were given back. */
  constructor(scope: WorkerScope, locks: Locks, onLook: (stalled: string[]) => void) {
    this.#scope = scope;
    this.#locks = locks;
    this.#onLook = onLook;
    // The first look comes at once: it may find that nobody has looked for long, and the next one then recovers.
    this.#arm(0);
  }

  #arm(waitMs: number): void {
    clearTimeout(this.#timer);
    if (!this.#closed) this.#timer = setTimeout(() => this.#tick(), waitMs);
  }

  async #tick(): Promise<void> {
    const { queue, options, onTrouble } = this.#scope;
    this.#looking = true;
    const silence = setInterval(() => queue.client.disconnect(true), silenceLimitMs);
    await this.#look().catch(onTrouble);
    clearInterval(silence);
    this.#looking = false;
    this.#arm(this.#soonMs.shift() ?? (this.#unknownSince.size > 0 ? replyLimitMs : options.queue.stalledCheckMs));
  }

  async #look(): Promise<void> {
    const { queue, workerId, options } = this.#scope;
    const reply = await queue.run(lookForStalled, [queue.keyStart, workerId, options.queue.stalledCheckMs]);
    const [stalled, held] = reply as [string[], string[]];
    await this.#giveBackUnknown(held);
    this.#onLook(stalled);
  }

  async #giveBackUnknown(held: string[]): Promise<void> {
    const { queue } = this.#scope;
    const now = performance.now();
    const before = this.#unknownSince;
    this.#unknownSince = new Map();
    for (let index = 0; index < held.length; index += 2) {
      const [id = '', token = ''] = held.slice(index, index + 2);
      if (this.#locks.holds.has(id)) continue;
      const since = before.get(`${id} ${token}`) ?? now;
      this.#unknownSince.set(`${id} ${token}`, since);
      // After an outage, two looks may be answered in one go.
      if (now - since >= replyLimitMs) await queue.run(putBack, [id, token, 0], id);
    }
  }

  /** Looks twice soon, for the replies that were lost with the connection in an outage. */
  soon(): void {
    this.#soonMs = [250, replyLimitMs];
    if (!this.#looking) this.#arm(this.#soonMs.shift() ?? 0);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }
}
