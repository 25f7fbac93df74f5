import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive, type ProcessRef } from './process-ref.ts';

/** Stops a process with SIGTERM, and with SIGKILL once `limitMs` have passed. Resolves when it is gone. */
export async function stopProcess(ref: ProcessRef, limitMs: number): Promise<void> {
  signal(ref, 'SIGTERM');
  if (await goneWithin(ref, limitMs)) return;
  signal(ref, 'SIGKILL');
  await goneWithin(ref, 2_000);
}

/** Waits until a process is gone; returns false when it still runs after `limitMs`. */
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
