import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readlinkSync } from 'node:fs';

/** One process of this machine: its number, and when it was started, because numbers are given out again. */
export interface ProcessRef {
  readonly pid: number;
  /** In clock ticks since the boot, or in the words of `ps` where there is no /proc. */
  readonly startedAt: string | undefined;
}

/** What tells a process from every other one, also from those of other machines and containers. */
export interface ProcessIdentity extends ProcessRef {
  /** The running kernel; undefined where the system does not tell (macOS, Windows). */
  readonly boot: string | undefined;
  readonly pidNamespace: string | undefined;
}

function readOr<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** What the system tells of a process; a zombie is dead, and only not buried yet. */
type Stat = { startedAt: string; isDead: boolean };

/** Reads /proc/<pid>/stat; the name before the fields may hold blanks and parentheses. */
function readStat(pid: number): Stat | undefined {
  const text = readOr(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, startedAt] = [fields?.[0], fields?.[19]];
  return state && startedAt ? { startedAt, isDead: state === 'Z' || state === 'X' } : undefined;
}

/** Asks `ps`, where there is no /proc. */
function askPs(pid: number): Stat | undefined {
  const args = ['-o', 'stat=,lstart=', '-p', String(pid)];
  const told = readOr(() => execFileSync('ps', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
  const [state, ...startedAt] = (told ?? '').trim().split(/\s+/);
  return state ? { startedAt: startedAt.join(' '), isDead: state.startsWith('Z') } : undefined;
}

/** Refers to a running process. Returns undefined when there is none, or only a zombie. */
export function processRef(pid: number): ProcessRef | undefined {
  const stat = existsSync('/proc/self/stat') ? readStat(pid) : askPs(pid);
  return stat && !stat.isDead ? { pid, startedAt: stat.startedAt } : undefined;
}

/** Tells whether a process of this machine lives. */
export function isAlive({ pid, startedAt }: ProcessRef): boolean {
  const now = processRef(pid);
  return now !== undefined && now.startedAt === startedAt;
}

/** Identifies this process, also to other machines. */
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
