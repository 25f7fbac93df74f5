import type { RunningJob } from './block-report.ts';

/** At this number of blocks, the guard suggests a change to the task: so many are no accident. */
const hintAt = 3;

/** Creates a function that counts the blocks of each task, and tells once of a task what to change. */
export function createBlockHint(tell: (hint: object) => void): (job: RunningJob, blockedMs: number) => void {
  const blocks = new Map<string, number[]>();
  return ({ queue, task }, blockedMs) => {
    const known = blocks.get(task) ?? [];
    if (known.length >= hintAt) return;
    known.push(Math.round(blockedMs));
    blocks.set(task, known);
    if (known.length < hintAt) return;
    const change = { file: `tasks/${task}/manifest.ts`, line: "pool: 'thread'" };
    // Of so few values, the largest is the 99th percentile.
    tell({ queue, task, blocks: known.length, p99BlockMs: Math.max(...known), ...change });
  };
}
