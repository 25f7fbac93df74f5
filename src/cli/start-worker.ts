import type { Guard } from '../guard/guard.ts';
import type { WorkerSource } from './run-worker.ts';
import type { SuperviseOptions } from './supervise.ts';
import type { WorkerFlags } from './worker-flags.ts';
import { countProcesses } from './worker-plan.ts';

/**
 * Runs a worker in this process or, where flags or settings ask for that, makes this process the parent of workers. A
 * parent loads no worker and no broker.
 */
export async function startWorker(
  flags: WorkerFlags,
  source: WorkerSource,
  children: Omit<SuperviseOptions, 'processes'>,
): Promise<void> {
  const processes = await countProcesses(flags, () => source.openApp().config());
  if (processes !== undefined) return (await import('./supervise.ts')).supervise(flags, { processes, ...children });
  const guard = flags.guard === false ? undefined : await startGuard();
  return (await import('./run-worker.ts')).runWorker(flags, source, guard);
}

/** Starts the guard's thread, which then starts beside the loading of the worker. */
async function startGuard(): Promise<Guard> {
  const { Guard } = await import('../guard/guard.ts');
  return new Guard(new URL('./guard-thread.js', import.meta.url));
}
