import { implement, type TaskContext } from 'islet/task';
import { expectIdempotent } from 'islet/testing';
import { type Dependencies, sendEmail } from '../app.ts';

const task = implement(sendEmail, async (_, { deps }: TaskContext<Dependencies>) => ({
  messageId: deps.sender.length,
}));

export const prove = () =>
  // TS2322: Type '() => { sender: number; }' is not assignable to type '() => Fakes<Dependencies>'.
  expectIdempotent(task, { to: 'a@example.com', subject: 'Hello' }, { deps: () => ({ sender: 5 }), effects: () => [] });
