import { implement } from 'islet/task';
import { expectIdempotent } from 'islet/testing';
import { sendEmail } from '../app.ts';

const task = implement(sendEmail, async () => ({ messageId: 1 }));

// TS2741: Property 'effects' is missing in type '{}' but required in type 'IdempotencyOptions<object>'.
export const prove = () => expectIdempotent(task, { to: 'a@example.com', subject: 'Hello' }, {});
