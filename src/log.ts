import { writeSync } from 'node:fs';
import { type Logger, pino } from 'pino';
import type { SharedLines } from './shared-lines.ts';

/** What tasks and dependencies log with; every line of a job carries `queue, task, jobId, attempt`. */
export type Log = Pick<Logger, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'child'>;

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** Takes whole lines, each with its line feed. */
export type WriteLine = (line: string) => void;

const standardOutput = 1;
/** How long a full pipe gets to be emptied, in milliseconds, before the next attempt. */
const retryMs = 10;
/** Attempts at the end of the process. */
const lastAttempts = 20;
/** What may wait for a reader that has stopped, in characters; further lines are dropped. */
const mostWaiting = 4_194_304;

/** Lines that follow one another faster than this, in milliseconds, may leave together. */
const burstMs = 1;

const nothing: Buffer = Buffer.alloc(0);
const isFull = ({ code }: NodeJS.ErrnoException) => code === 'EAGAIN' || code === 'EBUSY';

/** Writes as much as there is room for, and returns the rest. What nobody will read is lost: nothing depends on it. */
function writeSome(bytes: Buffer): Buffer {
  let rest = bytes;
  try {
    while (rest.length > 0) rest = rest.subarray(writeSync(standardOutput, rest));
    return rest;
  } catch (error) {
    return isFull(error as NodeJS.ErrnoException) ? rest : nothing;
  }
}

function noteDropped(lines: number): string {
  if (lines === 0) return '';
  const note = { level: 40, time: new Date().toISOString(), pid: process.pid, lines };
  return `${JSON.stringify({ ...note, msg: 'Log lines were dropped: nobody had read for too long' })}\n`;
}

/** Writes as much as there is room for, and returns how many bytes that was. */
const takeSome = (bytes: Uint8Array) => bytes.length - writeSome(bytes as Buffer).length;

/**
 * Standard output for lines. What finds no room waits, so that no slow reader blocks the process; and it is bounded: lines
 * that were dropped are counted, and a line says so when somebody reads again. At the end of the process it is written as
 * far as somebody reads: pino's own output would try for ever, and the process would never end.
 *
 * A line is written at once, so that it is there when the process crashes next. Where another thread sees the lines that
 * wait, only the first of a burst is; those that follow it in the same turn of the event loop leave with one write.
 */
class Output {
  readonly #shared: SharedLines | undefined;
  /** What has found no room, and the lines after it. */
  #rest = nothing;
  #behind = '';
  #dropped = 0;
  #ended = false;
  #timer: NodeJS.Timeout | undefined;
  /** When the last line came, while others may follow it. */
  #lineAt: number | undefined;

  constructor(shared: SharedLines | undefined) {
    this.#shared = shared;
    // A pipe that was touched so says that it is full; another one blocks whoever writes.
    void process.stdout.writable;
    process.on('exit', () => this.#end());
  }

  write(line: string): void {
    if (this.#rest.length > 0) this.#append(line);
    else if (!this.#isBurst() || !this.#shared?.add(line)) {
      this.#flush();
      if (this.#rest.length > 0) this.#append(line);
      else this.#rest = writeSome(Buffer.from(line));
    }
    this.#goOnLater();
  }

  /** Whether a line has just been written in this turn of the event loop. */
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

  /** Writes the lines that wait in shared memory; what finds no room goes on waiting here. */
  #flush(): void {
    if (!this.#shared || this.#shared.isEmpty) return;
    if (this.#rest.length === 0) this.#shared.flush(takeSome);
    const left = this.#shared.empty();
    if (this.#rest.length === 0) this.#rest = left;
    else this.#behind += left.toString();
  }

  #append(line: string): void {
    if (this.#rest.length + this.#behind.length + line.length > mostWaiting) this.#dropped += 1;
    else this.#behind += line;
  }

  #goOnLater(): void {
    if (this.#rest.length > 0) this.#timer ??= setTimeout(() => this.#goOn(), retryMs);
  }

  #goOn(): void {
    this.#timer = undefined;
    this.#rest = writeSome(this.#rest);
    if (this.#rest.length === 0) {
      this.#rest = writeSome(Buffer.from(this.#behind + noteDropped(this.#dropped)));
      this.#behind = '';
      this.#dropped = 0;
    }
    this.#goOnLater();
  }

  #end(): void {
    // No turn follows.
    this.#ended = true;
    this.#flush();
    const room = new Int32Array(new SharedArrayBuffer(4));
    for (let attempt = 0; this.#rest.length > 0 && attempt < lastAttempts; attempt += 1) {
      Atomics.wait(room, 0, 0, retryMs);
      clearTimeout(this.#timer);
      this.#goOn();
    }
  }
}

/** The options of a process' logger. */
interface LogOptions {
  /** Writes the lines to standard output, in place of this logger. */
  write?: WriteLine;
  /** Where lines may wait until the end of a turn, because another thread writes them if this one cannot. */
  shared?: SharedLines | undefined;
}

/** Creates a logger: one JSON line each, on standard output. */
export function createLog(level: string, { write, shared }: LogOptions = {}): Logger {
  const options = { level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime };
  return pino(options, write ? { write } : new Output(shared));
}

/** Lets lines of another logger's, in another thread or process, stand among those of this one. */
export function openLines(log: Logger): WriteLine {
  const stream = (log as unknown as Record<symbol, { write: WriteLine }>)[pino.symbols.streamSym];
  return (line) => void stream?.write(line);
}
