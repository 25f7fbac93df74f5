import { implement, type TaskContext } from 'islet/task';
import { expectIdempotent } from 'islet/testing';
import { type Dependencies, sendEmail } from '../app.ts';

const task = implement(sendEmail, async (_, { deps }: TaskContext<Dependencies>) => ({
  messageId: deps.sender.length,
}));

export const prove = () =>
  expectIdempotent(
    task,
    { to: 'a@example.com', subject: 'Hello' },
    // TS2353: Object literal may only specify known properties, and 'dependencies' does not exist in type 'IdempotencyOptions<Fakes<Dependencies>>'.
    { dependencies: () => ({ sender: 'me' }), effects: () => [] },
  );
