import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** One process for as long as it lives: its id, and when it was born, because ids are given out again. */
export interface ProcessRef {
  pid: number;
  born: string;
}

/** Refers to a running process. Undefined when there is none, or only a zombie that nobody has reaped. */
export function processRef(pid: number): ProcessRef | undefined {
  const born = existsSync('/proc/self/stat') ? bornFromProc(pid) : bornFromPs(pid);
  return born === undefined ? undefined : { pid, born };
}

export function isAlive(ref: ProcessRef): boolean {
  return processRef(ref.pid)?.born === ref.born;
}

/** Stops a process with SIGTERM, and with SIGKILL once `limitMs` have passed. Resolves when it is gone. */
export async function stopProcess(ref: ProcessRef, limitMs: number): Promise<void> {
  signal(ref, 'SIGTERM');
  if (await goneWithin(ref, limitMs)) return;
  signal(ref, 'SIGKILL');
  await goneWithin(ref, 2_000);
}

/** Waits until a process is gone; false when it still runs after `limitMs`. */
export async function goneWithin(ref: ProcessRef, limitMs: number): Promise<boolean> {
  const deadline = Date.now() + limitMs;
  while (isAlive(ref)) {
    if (Date.now() > deadline) return false;
    await sleep(25);
  }
  return true;
}

function signal(ref: ProcessRef, name: NodeJS.Signals): void {
  if (!isAlive(ref)) return;
  try {
    process.kill(ref.pid, name);
  } catch {
    // It left between the look and the signal.
  }
}

function bornFromProc(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command's name stands in brackets and may hold spaces, so the fields are counted from behind it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function bornFromPs(pid: number): string | undefined {
  try {
    const asked = ['-o', 'stat=,lstart=', '-p', String(pid)];
    const told = execFileSync('ps', asked, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    const [state, ...started] = told.trim().split(/\s+/);
    return state === undefined || state === '' || state.startsWith('Z') ? undefined : started.join(' ');
  } catch {
    return undefined;
  }
}
