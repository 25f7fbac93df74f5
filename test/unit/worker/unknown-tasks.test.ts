import { expect, test } from 'vitest';
import type { LoadableTask } from '../../../src/worker/load-queue.ts';
import { UnknownTasks } from '../../../src/worker/unknown-tasks.ts';
import { deliver, sendEmail } from './delivery.ts';

/** Returns what is told of a job of this name at this time, or nothing. */
function open(...names: [string, LoadableTask][]) {
  let told: unknown[] = [];
  const log = { warn: (...line: unknown[]) => void told.push(line) };
  const loadable = { manifest: sendEmail, load: () => Promise.reject() };
  const tasks = new Map<string, LoadableTask>([['send-email', loadable], ['mail-out', loadable], ...names]);
  const unknown = new UnknownTasks(tasks, 600_000, log as never);
  return (task: string, at = 0) => {
    told = [];
    unknown.tell(deliver({ task }), at);
    return told;
  };
}

test('says that the queue has no such task, how long its jobs wait, and what to do', () => {
  expect(open()('sendEmail')).toEqual([
    [
      {
        queue: 'mail',
        task: 'sendEmail',
        jobId: 'j',
        error:
          'Queue "mail" has no task "sendEmail". Did you mean "send-email"? Its jobs wait for a worker that has it, and ' +
          'fail 600000 ms after they were first seen (`worker.unknownTaskDeadline`). If it is called "send-email" now, ' +
          'add formerNames: ["sendEmail"] to tasks/send-email/manifest.ts.',
      },
      'Task unknown',
    ],
  ]);
});

test.each(['Send_Email', 'SEND EMAIL', 'send.email', 'send:emial'])('takes "%s" for send-email', (name) => {
  expect(open()(name)).toMatchObject([[{ error: expect.stringContaining('Did you mean "send-email"?') }, {}]]);
});

test('names the tasks that are there, by none of their former names, when none is meant', () => {
  expect(open()('__default__')).toMatchObject([
    [
      {
        error: expect.stringMatching(
          /^Queue "mail" has no task "__default__"\. Known: send-email\. .* If it has another name now, add formerNames: \["__default__"\] to the manifest of that task\.$/,
        ),
      },
      {},
    ],
  ]);
});

test('is silent about a task whose version alone is newer', () => {
  expect(open()('send-email')).toEqual([]);
  expect(open()('mail-out')).toEqual([]);
});

test('tells each name once a minute', () => {
  const tell = open();
  const counts = [0, 59_999, 60_000, 119_999, 120_001].map((at) => tell('gone', at).length);
  expect(counts).toEqual([1, 0, 1, 0, 1]);
  expect(tell('other', 120_002)).toHaveLength(1);
});

test('tells a hundred names a minute at most, and each as far as 100 characters', () => {
  const tell = open();
  const told = Array.from({ length: 500 }, (_, index) => tell(`name-${index}`, index).length);
  expect(told.filter((count) => count === 1)).toHaveLength(100);
  expect(tell('after a minute', 60_000)).toHaveLength(1);
  const [[line]] = tell('x'.repeat(1_000_000), 61_000) as [[{ error: string; task: string }]];
  expect([line.task.length, line.error.length < 600]).toEqual([103, true]);
});
