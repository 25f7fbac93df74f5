import { type Logger, pino } from 'pino';

/** What tasks and dependencies log with; every line of a job carries `queue, task, jobId, attempt`. */
export type Log = Pick<Logger, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'child'>;

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** Takes whole lines, each with its line feed. */
export type WriteLine = (line: string) => void;

/** Creates a logger: one JSON line each, on standard output, or to whatever is to write them there. */
export function createLog(level: string, write?: WriteLine): Logger {
  const options = { level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime };
  return write ? pino(options, { write }) : pino(options);
}

/** Lets lines of another logger's, in another thread or process, stand among those of this one. */
export function openLines(log: Logger): WriteLine {
  const stream = (log as unknown as Record<symbol, { write: WriteLine }>)[pino.symbols.streamSym];
  return (line) => void stream?.write(line);
}
