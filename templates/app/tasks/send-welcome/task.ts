import { implement, type TaskContext } from 'islet/task';
import type { Dependencies } from '../../queues/mail/dependencies.ts';
import manifest from './manifest.ts';

export default implement(manifest, async ({ userId, email }, { deps }: TaskContext<Dependencies>) => {
  // A job whose worker dies runs again: the key keeps that from becoming a second mail.
  const key = `welcome-${userId}`;
  await deps.mailer.send({ key, to: email, subject: 'Welcome', text: 'It is good to have you here.' });
  return { sentTo: email };
});
