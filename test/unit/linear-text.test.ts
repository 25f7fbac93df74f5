import * as v from 'valibot';
import { expect, test } from 'vitest';
import { isConnectionLoss } from '../../src/broker/connection.ts';
import { explainRedisError } from '../../src/broker/refusals.ts';
import { createTroubleReport } from '../../src/broker/trouble.ts';
import { readVariable, warnOfNearNames } from '../../src/environment.ts';
import { hidePasswords } from '../../src/errors.ts';
import { groupBy } from '../../src/group-by.ts';
import { parseStack } from '../../src/guard/block-report.ts';
import { checks, describe as describeValue } from '../../src/manifest/check-options.ts';
import { defineTask } from '../../src/manifest/define-task.ts';
import { didYouMean } from '../../src/manifest/did-you-mean.ts';
import { parsePayload } from '../../src/manifest/parse-payload.ts';
import { toJson } from '../../src/manifest/to-json.ts';
import { isJobId } from '../../src/producer/enqueue-options.ts';
import { findUrlProblem, isPrefix } from '../../src/redis-place.ts';
import { SharedLines } from '../../src/shared-lines.ts';
import { toProblem } from '../../src/tools/check/problem.ts';
import { checkName } from '../../src/tools/scaffold/names.ts';
import { readDuration, readSize } from '../../src/units.ts';

const task = defineTask({ name: 'keep', queue: 'mail', payload: v.pipe(v.string(), v.maxLength(1)) });
const subject = { code: 'E_X', file: 'tasks/a/task.ts', title: 'Task "a"', effect: 'It is not run.' };
const trouble = createTroubleReport(() => {});
const json = (value: unknown) => toJson(value, 'It', 'E_X', 1_000_000);
const nested = (text: string) => Array.from({ length: text.length / 20 }, (_, index) => ({ key: [text[index]] }));

/** All that reads text that others have written, whatever its length. */
const readers: Record<string, (text: string) => unknown> = {
  hidePasswords,
  explainRedisError: (text) => explainRedisError(`redis://u:p@h/0`, new Error(text)),
  isConnectionLoss: (text) => isConnectionLoss(new Error(text)),
  trouble: (text) => trouble(new Error(text)),
  toJson: json,
  'toJson of many parts': (text) => json(nested(text)),
  'toJson of a key': (text) => json({ [text]: [text] }),
  parsePayload: (text) => parsePayload(task, text),
  describe: describeValue,
  didYouMean: (text) => didYouMean(text, ['send-email', text]),
  'check of a name': checks.name,
  'check of packages': (text) => checks.packages([text]),
  'check of a text': checks.text,
  isJobId,
  isPrefix,
  findUrlProblem: (text) => findUrlProblem(`redis://${text}`),
  readDuration,
  readSize,
  readVariable: (text) => readVariable({ key: 'a', variable: 'A', kind: 'nat', sensitive: false }, text),
  warnOfNearNames: (text) => {
    const settings = [{ key: 'a', variable: 'WORKER_MAX_JOBS', kind: 'nat', sensitive: false }];
    warnOfNearNames(settings, { [`WORKER_${text}`]: '1' });
  },
  parseStack: (text) => parseStack(`Error\n    at question (a.js:1:2)\n    at ${text}`),
  toProblem: (text) =>
    toProblem('/app', subject, { ok: false, code: undefined, message: text, stack: `Error: ${text}\n    at ${text}` }),
  checkName: (text) => checkName('task', text),
  SharedLines: (text) => {
    const lines = new SharedLines();
    for (let start = 0; start < text.length; start += 100) lines.add(text.slice(start, start + 100));
    lines.flush((bytes) => bytes.length);
  },
  groupBy: (text) => groupBy(text, () => 'one'),
};

const units = [
  'deadbeef',
  ' ',
  '\n',
  ':',
  '@',
  '/',
  '://',
  '@/:',
  'a://b@',
  'redis://u:p@h ',
  '/app/',
  'dist/',
  'at (',
  "Cannot find a '",
];
const attempts = [...units, '-', '.', '_', 'a-', '"', '😀', '\ud800', '1', 'node_modules/', '?password='];

function measure(read: (text: string) => unknown, text: string): number {
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < 3; run += 1) {
    const startedAt = performance.now();
    try {
      read(text);
    } catch {
      // A refusal has looked at the text, too.
    }
    best = Math.min(best, performance.now() - startedAt);
  }
  return best;
}

// Linear work takes a hundred times as long for a hundred times as much; work that is quadratic takes ten thousand times.
test.each(Object.entries(readers))('%s takes as much longer as its text is', (_, read) => {
  for (const unit of attempts) {
    const textOf = (length: number) => unit.repeat(length / unit.length);
    const short = Math.max(0.05, measure(read, textOf(1_000)));
    expect(measure(read, textOf(100_000)) / short, JSON.stringify(unit)).toBeLessThan(1_000);
  }
});

test('groups 60,000 jobs in less time than one round trip', () => {
  const jobs = Array.from({ length: 60_000 }, (_, id) => ({ id, task: `task-${id % 3}` }));
  const startedAt = performance.now();
  expect([...groupBy(jobs, (job) => job.task)].map(([, { length }]) => length)).toEqual([20_000, 20_000, 20_000]);
  expect(performance.now() - startedAt).toBeLessThan(500);
});
