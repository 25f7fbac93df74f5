import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readOr, readStat, type Stat } from '../../process/process-identity.ts';

/** One process of this machine: its number, and when it was started, because numbers are given out again. */
export interface ProcessRef {
  readonly pid: number;
  /** In clock ticks since the boot, or in the words of `ps` where there is no /proc. */
  readonly startedAt: string | undefined;
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
