import { implement, type TaskContext } from 'islet/task';
import { runTask } from 'islet/testing';
import { type Dependencies, sendEmail } from '../app.ts';

const task = implement(sendEmail, async ({ to, subject }, { deps }: TaskContext<Dependencies>) => {
  return { messageId: await deps.mailer.send(to, subject) };
});

export const run = () =>
  // TS2322: Type '() => Promise<string>' is not assignable to type '(to: string, subject: string) => Promise<number>'.
  runTask(task, { to: 'a@example.com', subject: 'Hello' }, { deps: { mailer: { send: async () => 'sent' } } });
