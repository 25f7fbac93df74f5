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
  return (await import('./run-worker.ts')).runWorker(flags, source);
}
