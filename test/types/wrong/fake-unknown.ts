import { implement, type TaskContext } from 'islet/task';
import { runTask } from 'islet/testing';
import { type Dependencies, sendEmail } from '../app.ts';

const task = implement(sendEmail, async (_, { deps }: TaskContext<Dependencies>) => ({
  messageId: deps.sender.length,
}));

// TS2561: Object literal may only specify known properties, but 'sendr' does not exist in type 'Fakes<Dependencies>'. Did you mean to write 'sender'?
export const run = () => runTask(task, { to: 'a@example.com', subject: 'Hello' }, { deps: { sendr: 'me' } });
