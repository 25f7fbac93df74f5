import type { RunningJob } from './block-report.ts';

/** Advice about a task that blocks the event loop again and again. */
export interface BlockHint {
  readonly queue: string;
  readonly task: string;
  readonly blocks: number;
  readonly p99BlockMs: number;
  /** The file to change, and the line to put there. */
  readonly file: string;
  readonly line: string;
}

/** The third block is no accident. */
const hintAt = 3;

/** Returns the value that 99 of 100 do not exceed; of fewer values, the largest. */
function p99(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 0;
}

/** Creates a function that counts the blocks of each task, and tells once of a task what to change. */
export function createBlockHint(tell: (hint: BlockHint) => void): (job: RunningJob, blockedMs: number) => void {
  const blocks = new Map<string, number[]>();
  return ({ queue, task }, blockedMs) => {
    const known = blocks.get(task) ?? [];
    if (known.length >= hintAt) return;
    known.push(Math.round(blockedMs));
    blocks.set(task, known);
    if (known.length < hintAt) return;
    const change = { file: `tasks/${task}/manifest.ts`, line: "pool: 'thread'" };
    tell({ queue, task, blocks: known.length, p99BlockMs: p99(known), ...change });
  };
}
