import { implement } from 'islet/task';
import { runTask } from 'islet/testing';
import { sendEmail } from '../app.ts';

const task = implement(sendEmail, async () => ({ messageId: 1 }));

// TS2561: Object literal may only specify known properties, but 'attempts' does not exist in type 'RunTaskOptions<object>'. Did you mean to write 'attempt'?
export const run = () => runTask(task, { to: 'a@example.com', subject: 'Hello' }, { attempts: 2 });
