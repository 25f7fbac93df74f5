import { expect, test } from 'vitest';
import { createBlockHint } from '../../../src/guard/block-hint.ts';

const job = (task: string) => ({ queue: 'mail', task, jobId: '1', attempt: 1 });

test('tells once of a task that blocks for the third time, with the line to change', () => {
  const hints: object[] = [];
  const add = createBlockHint((hint) => hints.push(hint));
  add(job('send-email'), 1_200.4);
  add(job('other'), 9_000);
  add(job('send-email'), 4_100);
  expect(hints).toEqual([]);
  add(job('send-email'), 2_000);
  add(job('send-email'), 8_000);
  expect(hints).toEqual([
    {
      queue: 'mail',
      task: 'send-email',
      blocks: 3,
      p99BlockMs: 4_100,
      file: 'tasks/send-email/manifest.ts',
      line: "pool: 'thread'",
    },
  ]);
});
