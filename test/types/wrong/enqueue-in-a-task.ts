import { implement } from 'islet/task';
import { report, sendEmail } from '../app.ts';

export default implement(report, async (_, { enqueue }) => {
  // TS2741: Property 'subject' is missing in type '{ to: string; }' but required in type '{ to: string; subject: string; copies?: number | undefined; }'.
  await enqueue(sendEmail, { to: 'a@example.com' });
  // TS2561: Object literal may only specify known properties, but 'delay' does not exist in type 'ChildOptions'. Did you mean to write 'delayMs'?
  await enqueue(sendEmail, { to: 'a@example.com', subject: 'Hello' }, { delay: 1_000 });
  return { pages: 1 };
});
