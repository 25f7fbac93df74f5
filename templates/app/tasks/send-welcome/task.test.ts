import { expectIdempotent, runTask } from 'islet/testing';
import { expect, test } from 'vitest';
import type { Mail } from '../../queues/mail/mailer.ts';
import task from './task.ts';

const payload = { userId: '1', email: 'ada@example.com' };

/** A mailer that remembers what was sent; like a real one, it sends one mail of a key. */
function createFakes() {
  const sent = new Map<string, Mail>();
  const send = async (mail: Mail) => void sent.set(mail.key, mail);
  return { sent, mailer: { send } };
}

test('sends the mail to the user', async () => {
  const { sent, mailer } = createFakes();
  const outcome = await runTask(task, payload, { deps: { mailer } });
  expect(outcome).toEqual({ kind: 'completed', result: { sentTo: 'ada@example.com' } });
  expect(sent.get('welcome-1')).toMatchObject({ to: 'ada@example.com', subject: 'Welcome' });
});

test('sends one mail, however often it runs and wherever it is interrupted', async () => {
  await expectIdempotent(task, payload, { deps: createFakes, effects: ({ sent }) => sent });
});

test('refuses what is no mail address', async () => {
  expect(await runTask(task, { ...payload, email: 'ada' })).toMatchObject({ kind: 'failed' });
});
