import { implement, type TaskContext } from 'islet/task';
import { type Dependencies, sendEmail } from '../app.ts';

export default implement(sendEmail, async ({ to, subject }, { deps }: TaskContext<Dependencies>) => {
  // TS2551: Property 'mailr' does not exist on type 'Dependencies'. Did you mean 'mailer'?
  return { messageId: await deps.mailr.send(to, subject) };
});
