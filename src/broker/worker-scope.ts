import type { Guard } from '../guard/guard.ts';
import type { ConsumeOptions } from './broker.ts';
import type { JobBackend } from './job-backend.ts';
import type { QueueHandle } from './queue-handle.ts';

/** The parts from which one queue's worker is made. */
export interface WorkerParts {
  readonly queue: QueueHandle;
  readonly options: ConsumeOptions;
  readonly guard: Guard | undefined;
  /** A name that the operator promises no two living workers share. */
  readonly slot: string | undefined;
}

/** The scope that the parts of one queue's worker share. */
export interface WorkerScope extends WorkerParts {
  readonly workerId: string;
  readonly backend: JobBackend;
  onTrouble(error: unknown): void;
}
