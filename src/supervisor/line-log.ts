import { writeSync } from 'node:fs';

const levels = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60, silent: 100 } as const;

/** Writes lines in the shape of the workers' log. A parent loads no pino, which would double its memory. */
export class LineLog {
  /** The name of one of pino's levels; lines below it are left out. */
  level = 'info';

  /** Writes a line on standard output. A line that cannot be written is lost: nothing depends on it. */
  write(level: 'info' | 'warn' | 'error' | 'fatal', fields: object, msg: string): void {
    if (levels[level] < (levels[this.level as keyof typeof levels] ?? 0)) return;
    const line = { level: levels[level], time: new Date().toISOString(), pid: process.pid, ...fields, msg };
    try {
      writeSync(1, `${JSON.stringify(line)}\n`);
    } catch {
      // The pipe is full or closed.
    }
  }
}
