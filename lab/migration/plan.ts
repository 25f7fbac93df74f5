/** What sends jobs or runs them: plain BullMQ of two major versions, or Islet. */
export type Library = 'bullmq5' | 'bullmq6' | 'islet';

/** One step of the move. */
export interface Phase {
  readonly name: string;
  readonly producers: readonly Library[];
  readonly workers: readonly Library[];
  /** Whether Redis is killed and started again on the way. */
  readonly killsRedis?: boolean;
}

/** The move in and back out. Each process is replaced once in each phase. */
export const phases: readonly Phase[] = [
  { name: 'plain BullMQ', producers: ['bullmq5', 'bullmq6'], workers: ['bullmq5', 'bullmq6'] },
  { name: 'workers of both', producers: ['bullmq5', 'bullmq6'], workers: ['bullmq5', 'bullmq6', 'islet'] },
  { name: "Islet's workers", producers: ['bullmq5', 'bullmq6'], workers: ['islet', 'islet'] },
  { name: 'producers of both', producers: ['bullmq6', 'islet'], workers: ['islet', 'islet'] },
  { name: 'Islet alone', producers: ['islet'], workers: ['islet', 'islet'], killsRedis: true },
  { name: 'back: both', producers: ['islet', 'bullmq6'], workers: ['islet', 'bullmq6'] },
  { name: 'back: plain BullMQ', producers: ['bullmq6'], workers: ['bullmq5', 'bullmq6'] },
];

/** A job of the run. What it is follows from its number alone, so that every process knows it. */
export interface PlannedJob {
  readonly id: string;
  readonly ms: number;
  readonly failures: number;
  readonly delayMs: number;
  /** Plain producers make some jobs in ways that Islet's does not. */
  readonly kind: 'simple' | 'lifo' | 'flow';
}

export const attempts = 3;
export const backoffMs = 50;

/** Returns the job of a number. Of 20 jobs, 2 fail once, 1 fails for good, 3 are delayed, 1 is LIFO and 1 has a child. */
export function jobOf(producer: string, index: number): PlannedJob {
  const at = index % 20;
  return {
    id: `${producer}-${index}`,
    ms: 5 + ((index * 7) % 40),
    failures: at === 3 ? attempts : at === 5 || at === 11 ? 1 : 0,
    delayMs: at === 7 || at === 11 || at === 17 ? 100 + ((index * 13) % 900) : 0,
    kind: at === 9 ? 'lifo' : at === 13 ? 'flow' : 'simple',
  };
}

export const childOf = (id: string) => `${id}-child`;
