import { implement, type TaskContext } from 'islet/task';
import { runTask } from 'islet/testing';
import { type Dependencies, sendEmail } from '../app.ts';

const task = implement(sendEmail, async ({ to, subject }, { deps }: TaskContext<Dependencies>) => {
  return { messageId: await deps.mailer.send(to, subject) };
});

export const run = () =>
  // TS2353: Object literal may only specify known properties, and 'sned' does not exist in type 'Partial<Mailer>'.
  runTask(task, { to: 'a@example.com', subject: 'Hello' }, { deps: { mailer: { sned: async () => 1 } } });
