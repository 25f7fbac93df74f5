import { readFileSync, readlinkSync } from 'node:fs';

/** What tells a process from every other one, also from a later one with the same number, on the same kernel. */
export interface ProcessIdentity {
  /** Of the running kernel; undefined where the system does not tell (macOS, Windows). */
  readonly boot: string | undefined;
  readonly pidNamespace: string | undefined;
  readonly pid: number;
  /** In clock ticks since the boot. */
  readonly startedAt: string | undefined;
}

function readOr<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** State and start time out of /proc/<pid>/stat; the name before them may hold blanks and parentheses. */
function readStat(pid: number): { state: string; startedAt: string } | undefined {
  const text = readOr(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, startedAt] = [fields?.[0], fields?.[19]];
  return state && startedAt ? { state, startedAt } : undefined;
}

export function identifyProcess(pid = process.pid): ProcessIdentity {
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

/** Whether a process lives, seen from this one; undefined where that cannot be told: another kernel, or pid namespace. */
function lives(other: ProcessIdentity, self: ProcessIdentity): boolean | undefined {
  const comparable = self.boot !== undefined && self.pidNamespace !== undefined && self.startedAt !== undefined;
  if (!comparable || other.boot !== self.boot || other.pidNamespace !== self.pidNamespace) return undefined;
  if (!exists(other.pid)) return false;
  const stat = readStat(other.pid);
  if (!stat) return undefined;
  // A zombie is dead and only not buried yet; another start time is another process.
  return stat.state !== 'Z' && stat.state !== 'X' && stat.startedAt === other.startedAt;
}

/** Whether a process is dead beyond doubt. */
export function isProvablyDead(other: ProcessIdentity, self: ProcessIdentity): boolean {
  return lives(other, self) === false;
}

/** Whether a process lives beyond doubt. */
export function isProvablyAlive(other: ProcessIdentity, self: ProcessIdentity): boolean {
  return lives(other, self) === true;
}
