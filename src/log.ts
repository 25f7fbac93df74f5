import { writeSync } from 'node:fs';
import { type Logger, pino } from 'pino';
import { letRewrite } from './rewrite-lines.ts';
import type { SharedLines } from './shared-lines.ts';

/** The logger of tasks and dependencies; every line of a job carries `queue, task, jobId, attempt`. */
export type Log = Pick<Logger, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'child'>;

/** How long, in milliseconds, the reader of a full pipe gets before the next attempt. */
const retryMs = 10;
/** How often a write is tried at the end of the process. */
const lastAttempts = 20;
/** How many characters may wait for a reader that has stopped; further lines are dropped. */
const mostWaiting = 4_194_304;
/** Lines that follow one another faster than this, in milliseconds, may leave together. */
const burstMs = 1;

/** Writes as much as there is room for, and returns how many bytes that was. What nobody will read counts as written. */
function writeSome(bytes: Uint8Array): number {
  let written = 0;
  try {
    while (written < bytes.length) written += writeSync(1, bytes, written);
    return written;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'EAGAIN' || code === 'EBUSY' ? written : bytes.length;
  }
}

function noteDropped(lines: number): string {
  if (lines === 0) return '';
  const note = { level: 40, time: new Date().toISOString(), pid: process.pid, lines };
  return `${JSON.stringify({ ...note, msg: 'Log lines were dropped, because nothing had read them for too long' })}\n`;
}

/**
 * Standard output for lines. Lines that find no room wait, so that a slow reader does not block the process. Beyond a limit
 * they are dropped, and a line tells their number when somebody reads again. At the end of the process, waiting lines are
 * written as far as somebody reads; pino's own output would try for ever, and the process would never end.
 *
 * A line is written at once, so that it is there when the process crashes next. Where another thread sees the lines that
 * wait, only the first line of a burst is; the others of the same turn of the event loop leave with one write.
 */
export class LogOutput {
  readonly #shared: SharedLines | undefined;
  /** Bytes that have found no room, and the lines after them. */
  #rest: Buffer = Buffer.alloc(0);
  #behind = '';
  #dropped = 0;
  #ended = false;
  #timer: NodeJS.Timeout | undefined;
  /** When the last line came, while others may follow it. */
  #lineAt: number | undefined;

  /** In `shared` memory lines may wait, because another thread writes them if this one cannot. */
  constructor(shared?: SharedLines) {
    this.#shared = shared;
    // This makes a pipe refuse writes when it is full; otherwise they would block the process.
    void process.stdout.writable;
    process.on('exit', () => this.#end());
  }

  /** Writes a line, which ends with a line feed. */
  write(line: string): void {
    if (this.#rest.length > 0 || !this.#isBurst() || !this.#shared?.add(line)) {
      this.#flush();
      if (this.#rest.length === 0) this.#try(Buffer.from(line));
      else if (this.#rest.length + this.#behind.length + line.length > mostWaiting) this.#dropped += 1;
      else this.#behind += line;
    }
    if (this.#ended) this.#writeRest();
    else this.#goOnLater();
  }

  /** Tells whether a line has just been written in this turn of the event loop. */
  #isBurst(): boolean {
    if (!this.#shared || this.#ended) return false;
    const now = performance.now();
    const isBurst = this.#lineAt !== undefined && now - this.#lineAt < burstMs;
    if (this.#lineAt === undefined) process.nextTick(this.#endBurst);
    this.#lineAt = now;
    return isBurst;
  }

  readonly #endBurst = () => {
    this.#lineAt = undefined;
    this.#flush();
    this.#goOnLater();
  };

  /** Writes bytes; those that find no room wait. */
  #try(bytes: Buffer): void {
    this.#rest = bytes.subarray(writeSome(bytes));
  }

  /**
   * Writes the lines from shared memory; what finds no room waits in `#rest`. While bytes wait there, shared memory is
   * empty.
   */
  #flush(): void {
    if (!this.#shared || this.#shared.isEmpty) return;
    this.#shared.flush(writeSome);
    this.#rest = this.#shared.empty();
  }

  #goOnLater(): void {
    if (this.#rest.length > 0) this.#timer ??= setTimeout(() => this.#goOn(), retryMs);
  }

  #goOn(): void {
    this.#timer = undefined;
    this.#try(this.#rest);
    if (this.#rest.length === 0) {
      this.#try(Buffer.from(this.#behind + noteDropped(this.#dropped)));
      this.#behind = '';
      this.#dropped = 0;
    }
    this.#goOnLater();
  }

  #end(): void {
    // No further turn of the event loop would end a burst.
    this.#ended = true;
    this.#flush();
    this.#writeRest();
  }

  /** Writes what waits, in a process that ends: no timer fires any more, also for lines that come after this. */
  #writeRest(): void {
    for (let attempt = 0; this.#rest.length > 0 && attempt < lastAttempts; attempt += 1) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, retryMs);
      clearTimeout(this.#timer);
      this.#goOn();
    }
  }
}

/** Creates a logger that writes lines of JSON. */
export function createLog(level: string, output: { write(line: string): void }): Logger {
  const options = { level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime };
  return letRewrite(pino(options, output), pino.symbols.streamSym);
}
