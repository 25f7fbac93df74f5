import { write, writeSync } from 'node:fs';
import { type Logger, pino } from 'pino';

/** What tasks and dependencies log with; every line of a job carries `queue, task, jobId, attempt`. */
export type Log = Pick<Logger, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'child'>;

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** Takes whole lines, each with its line feed. */
export type WriteLine = (line: string) => void;

const standardOutput = 1;
/** How long a full pipe gets to be emptied, in milliseconds, before the next attempt. */
const retryMs = 100;
/** Attempts at the end of the process. */
const lastRetryMs = 10;
const lastAttempts = 20;

const isFull = ({ code }: NodeJS.ErrnoException) => code === 'EAGAIN' || code === 'EBUSY';

/** Writes what it can without an event loop. */
function writeNow(text: string): void {
  let rest = Buffer.from(text);
  for (let attempt = 0; rest.length > 0 && attempt < lastAttempts; attempt += 1) {
    try {
      rest = rest.subarray(writeSync(standardOutput, rest));
    } catch (error) {
      if (!isFull(error as NodeJS.ErrnoException)) return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, lastRetryMs);
    }
  }
}

/**
 * Opens standard output for lines, which are written together while it is slow. What is left at the end of the process is
 * written then, as far as somebody reads it: pino's own output would try for ever, and the process would never end.
 */
function openOutput(): { write(line: string): void } {
  let waiting = '';
  let writing = false;
  let ending = false;
  const send = (bytes: Buffer) => {
    write(standardOutput, bytes, (error, written) => {
      if (error && isFull(error)) return void setTimeout(send, retryMs, bytes);
      // Nothing may depend on a line: what cannot be written is lost.
      const rest = error ? bytes.subarray(bytes.length) : bytes.subarray(written);
      if (rest.length > 0) return send(rest);
      writing = false;
      sendNext();
    });
  };
  const sendNext = () => {
    if (writing || waiting === '') return;
    const bytes = Buffer.from(waiting);
    waiting = '';
    writing = true;
    send(bytes);
  };
  process.on('exit', () => {
    ending = true;
    writeNow(waiting);
  });
  return {
    write(line) {
      if (ending) return writeNow(line);
      waiting += line;
      sendNext();
    },
  };
}

/** Creates a logger: one JSON line each, on standard output, once in a process, or to whatever is to write them there. */
export function createLog(level: string, write?: WriteLine): Logger {
  const options = { level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime };
  return pino(options, write ? { write } : openOutput());
}

/** Lets lines of another logger's, in another thread or process, stand among those of this one. */
export function openLines(log: Logger): WriteLine {
  const stream = (log as unknown as Record<symbol, { write: WriteLine }>)[pino.symbols.streamSym];
  return (line) => void stream?.write(line);
}
