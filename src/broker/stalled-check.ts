import type { Locks } from './locks.ts';
import type { QueueHandle } from './queue-handle.ts';
import { lookForStalled, putBack } from './scripts.ts';

interface StalledCheckOptions {
  queue: QueueHandle;
  workerId: string;
  intervalMs: number;
  locks: Locks;
  /** Called after each look: Redis answers. */
  onLook(): void;
  onStalled(jobIds: string[]): void;
  /** Called when Redis has not answered for so long that the connection may be dead without either side knowing. */
  onSilence(): void;
  onTrouble(error: unknown): void;
}

/** A host that vanished, or a middleman that forgot the connection, says nothing at all. */
const silenceLimitMs = 15_000;

/** A fetch whose reply is missing so long after Redis has answered others is lost. */
const replyLimitMs = 1_000;

/**
 * Checks for stalled jobs, as every worker does in turn: it says that this worker lives, gives back jobs whose lock ran
 * out, and gives back jobs that Redis handed to this worker in a reply that never arrived.
 */
export class StalledCheck {
  readonly #options: StalledCheckOptions;
  /** Since when Redis has had jobs for this worker's that are unknown here, by id and token: a reply may be on its way. */
  #unknownSince = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #looking = false;
  /** The waits before the next looks, when these are to come sooner than usual. */
  #soonMs: number[] = [];

  constructor(options: StalledCheckOptions) {
    this.#options = options;
    // The first look comes at once: it may find that nobody has looked for long, and the next one then recovers.
    this.#arm(0);
  }

  #arm(waitMs: number): void {
    clearTimeout(this.#timer);
    if (!this.#closed) this.#timer = setTimeout(() => this.#tick(), waitMs);
  }

  async #tick(): Promise<void> {
    const { intervalMs, onSilence, onTrouble } = this.#options;
    this.#looking = true;
    const silence = setInterval(onSilence, silenceLimitMs);
    await this.#look().catch(onTrouble);
    clearInterval(silence);
    this.#looking = false;
    this.#arm(this.#soonMs.shift() ?? (this.#unknownSince.size > 0 ? replyLimitMs : intervalMs));
  }

  async #look(): Promise<void> {
    const { queue, workerId, intervalMs, onStalled, onLook } = this.#options;
    const reply = await queue.run(lookForStalled, [queue.keyStart, workerId, intervalMs]);
    const [stalled, held] = reply as [string[], string[]];
    await this.#giveBackUnknown(held);
    if (stalled.length > 0) onStalled(stalled);
    onLook();
  }

  async #giveBackUnknown(held: string[]): Promise<void> {
    const { queue, locks } = this.#options;
    const now = performance.now();
    const before = this.#unknownSince;
    this.#unknownSince = new Map();
    for (let index = 0; index < held.length; index += 2) {
      const [id = '', token = ''] = held.slice(index, index + 2);
      if (locks.holds.has(id)) continue;
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
