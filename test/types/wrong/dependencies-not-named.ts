import { implement } from 'islet/task';
import { sendEmail } from '../app.ts';

export default implement(sendEmail, async ({ to, subject }, { deps }) => {
  // TS2339: Property 'mailer' does not exist on type 'object'.
  return { messageId: await deps.mailer.send(to, subject) };
});
