import type { Redis } from 'ioredis';

/** The time by which all processes of an app agree, in milliseconds since 1970. */
export interface SharedClock {
  now(): number;
  /** Turns such a time into one of this machine's clock. */
  toLocal(at: number): number;
}

/** The clock of this machine. */
export const machineClock: SharedClock = { now: () => Date.now(), toLocal: (at) => at };

/** Clocks that differ by more than this are said to do so, in milliseconds. */
const mostSkewMs = 1_000;
/** How long a measure holds while the clock is used: machines drift apart by less than a millisecond meanwhile. */
const holdsMs = 60_000;
/** A reply that took longer tells less than what is known. */
const slowMs = 500;

/**
 * The clock of Redis, measured now and then, and anew when this machine's clock has jumped: somebody has set it, or the
 * machine has slept. Until the first measure it is this machine's clock.
 */
export class RedisClock implements SharedClock {
  readonly #client: Redis;
  /** What the monotonic clock lacks to the time of Redis, and what it lacked to this machine's time at the measure. */
  #offsetMs: number | undefined;
  #machineMs = 0;
  #staleAt = Number.POSITIVE_INFINITY;

  constructor(client: Redis) {
    this.#client = client;
    client.on('ready', () => void this.measure());
  }

  now(): number {
    if (this.#offsetMs === undefined) return Date.now();
    const at = performance.now();
    if (at > this.#staleAt || this.#hasJumped(at)) void this.measure();
    return Math.round(at + this.#offsetMs);
  }

  #hasJumped(at: number): boolean {
    return Math.abs(Date.now() - at - this.#machineMs) > mostSkewMs;
  }

  toLocal(at: number): number {
    return at - this.now() + Date.now();
  }

  /** Asks Redis for its time. Never rejects: without an answer, or a right to ask, what was known holds. */
  async measure(): Promise<void> {
    const sentAt = performance.now();
    this.#staleAt = sentAt + holdsMs;
    this.#machineMs = Date.now() - sentAt;
    const time = await this.#client.time().catch(() => undefined);
    const tookMs = performance.now() - sentAt;
    if (!time || (this.#offsetMs !== undefined && tookMs > slowMs)) return;
    const [seconds, micros] = time;
    this.#offsetMs = Number(seconds) * 1_000 + Number(micros) / 1_000 - (sentAt + tookMs / 2);
  }

  /** Says by how much the two clocks differ, if that is worth a word. */
  describeSkew(): string | undefined {
    const jumped = this.#hasJumped(performance.now());
    const skewMs = this.now() - Date.now();
    if (jumped || Math.abs(skewMs) <= mostSkewMs) return undefined;
    const seen = `The clock of Redis is ${Math.abs(skewMs)} ms ${skewMs > 0 ? 'ahead of' : 'behind'} this machine's.`;
    return `${seen} Delays follow the clock of Redis; synchronize both clocks with NTP.`;
  }
}
