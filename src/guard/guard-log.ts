import { writeSync } from 'node:fs';

const levels = { warn: 40, fatal: 60 } as const;
const attempts = 20;

/** Writes a line as the worker's logger does, to standard output, from any thread and while the main one is blocked. */
export function writeLine(level: keyof typeof levels, msg: string, fields: object): void {
  const line = { level: levels[level], time: new Date().toISOString(), pid: process.pid, ...fields, msg };
  let rest = Buffer.from(`${JSON.stringify(line)}\n`);
  for (let attempt = 0; rest.length > 0 && attempt < attempts; attempt++) rest = rest.subarray(writeSome(rest));
}

/** Writes what a pipe takes. One that stays full, or is closed, loses the line, so that nothing may depend on it. */
export function writeSome(bytes: Uint8Array): number {
  try {
    return writeSync(1, bytes);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return bytes.length;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    return 0;
  }
}
