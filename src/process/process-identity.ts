import { readFileSync, readlinkSync } from 'node:fs';

/** What tells a process from every other one, also from those of other machines and containers. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When the process started, in clock ticks since the boot, because the system gives process ids out again. */
  readonly startedAt: string | undefined;
  /** The running kernel; undefined where the system does not tell (macOS, Windows). */
  readonly boot: string | undefined;
  readonly pidNamespace: string | undefined;
}

export function readOr<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** When a process started, and whether it is dead. A zombie is dead. */
export type Stat = { startedAt: string; isDead: boolean };

/** Reads /proc/<pid>/stat; the name before the fields may hold blanks and parentheses. */
export function readStat(pid: number): Stat | undefined {
  const text = readOr(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, startedAt] = [fields?.[0], fields?.[19]];
  return state && startedAt ? { startedAt, isDead: state === 'Z' || state === 'X' } : undefined;
}

export function identifyProcess(): ProcessIdentity {
  const { pid } = process;
  return {
    boot: readOr(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    pidNamespace: readOr(() => readlinkSync('/proc/self/ns/pid')),
    pid,
    startedAt: readStat(pid)?.startedAt,
  };
}

function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Tells whether a process lives; undefined where this one cannot tell: another kernel, or another pid namespace. */
export function lives(other: ProcessIdentity, self: ProcessIdentity): boolean | undefined {
  const known = self.boot !== undefined && self.pidNamespace !== undefined && self.startedAt !== undefined;
  if (!known || other.boot !== self.boot || other.pidNamespace !== self.pidNamespace) return undefined;
  if (!exists(other.pid)) return false;
  const stat = readStat(other.pid);
  return stat && !stat.isDead && stat.startedAt === other.startedAt;
}
