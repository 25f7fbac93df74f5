import { writeSync } from 'node:fs';
import { type Logger, pino } from 'pino';

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

/**
 * Opens standard output for lines. Each is written at once, so that it is there when the process crashes next; but no slow
 * reader blocks the process: what finds no room waits. At the end it is written as far as somebody reads: pino's own output
 * would try for ever, and the process would never end.
 *
 * What waits is bounded: lines that were dropped are counted, and a line says so when somebody reads again.
 */
function openOutput(): { write: WriteLine } {
  // From then on a pipe says that it is full; before, it blocks whoever writes.
  void process.stdout.writable;
  /** What has found no room, and the lines after it. */
  let rest = nothing;
  let behind = '';
  let dropped = 0;
  let timer: NodeJS.Timeout | undefined;
  const goOn = () => {
    timer = undefined;
    rest = writeSome(rest);
    if (rest.length === 0) {
      rest = writeSome(Buffer.from(behind + noteDropped(dropped)));
      behind = '';
      dropped = 0;
    }
    if (rest.length > 0) timer = setTimeout(goOn, retryMs);
  };
  process.on('exit', () => {
    const room = new Int32Array(new SharedArrayBuffer(4));
    for (let attempt = 0; rest.length > 0 && attempt < lastAttempts; attempt += 1) {
      Atomics.wait(room, 0, 0, retryMs);
      clearTimeout(timer);
      goOn();
    }
  });
  return {
    write(line) {
      if (rest.length === 0) rest = writeSome(Buffer.from(line));
      else if (rest.length + behind.length + line.length > mostWaiting) dropped += 1;
      else behind += line;
      if (rest.length > 0) timer ??= setTimeout(goOn, retryMs);
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
