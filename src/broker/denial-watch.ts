import { IsletError } from '../errors.ts';
import { within } from './connection.ts';
import type { QueueHandle } from './queue-handle.ts';
import { isDenied } from './refusals.ts';
import { findDenied, nameAll, rightsAdvice } from './rights.ts';

/** A denial has lasted when it is still there after so many milliseconds: rights and passwords are changed step by step. */
const lastsMs = 10_000;
/** How long, in milliseconds, a refusal counts as still there after it was last met. */
const recentMs = 3_000;
const checkLimitMs = 5_000;

/** Gives up a worker to which Redis denies, for good, its login or a command. A denial that passes changes nothing. */
export class DenialWatch {
  readonly #queue: QueueHandle;
  readonly #onLasting: (error: IsletError) => void;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #metAt = 0;
  #said = '';

  constructor(queue: QueueHandle, onLasting: (error: IsletError) => void) {
    this.#queue = queue;
    this.#onLasting = onLasting;
  }

  /** Takes note of an error of any kind. */
  met(error: unknown): void {
    if (this.#closed || !isDenied(error)) return;
    this.#metAt = performance.now();
    this.#said = (error as Error).message.replace(/ script: .*|\.$/, '');
    this.#timer ??= setTimeout(() => void this.#judge(), lastsMs);
  }

  async #judge(): Promise<void> {
    const denied = await within(findDenied(this.#queue), checkLimitMs).catch((error) => {
      this.met(error);
      return [];
    });
    this.#timer = undefined;
    if (denied.length === 0 && performance.now() - this.#metAt > recentMs) return;
    const seen = `Redis has refused commands for queue "${this.#queue.name}" for ${lastsMs / 1_000} s: ${this.#said}.`;
    const named = denied.length > 0 ? ` Its user may not run ${nameAll(denied)}.` : '';
    const advice = `Check the user and password in REDIS_URL. ${rightsAdvice} The worker has to be replaced.`;
    this.#onLasting(new IsletError('E_REDIS_DENIED', `${seen}${named} ${advice}`));
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }
}
