import type { ConsumeOptions } from './broker.ts';
import type { JobBackend } from './job-backend.ts';
import type { QueueHandle } from './queue-handle.ts';

/** What the parts of one queue's worker have in common. */
export interface WorkerScope {
  readonly queue: QueueHandle;
  readonly workerId: string;
  readonly backend: JobBackend;
  readonly options: ConsumeOptions;
  onTrouble(error: unknown): void;
}
