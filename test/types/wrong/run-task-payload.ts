import { implement } from 'islet/task';
import { runTask } from 'islet/testing';
import { sendEmail } from '../app.ts';

const task = implement(sendEmail, async () => ({ messageId: 1 }));

// TS2561: Object literal may only specify known properties, but 'subjct' does not exist in type '{ to: string; subject: string; copies?: number | undefined; }'. Did you mean to write 'subject'?
export const run = () => runTask(task, { to: 'a@example.com', subjct: 'Hello' });
