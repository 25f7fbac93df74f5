import { implement, type TaskContext } from 'islet/task';
import { type Dependencies, sendEmail } from '../app.ts';

// TS2345: Argument of type '({ to }: { to: string; subject: string; copies?: number | undefined; }, { deps }: AtLeastOnceContext<Dependencies>) => Promise<{ messageId: string; }>' is not assignable to parameter of type '(payload: { to: string; subject: string; copies?: number | undefined; }, context: AtLeastOnceContext<Dependencies>) => Promise<{ messageId: number; }> | { ...; }'.
export default implement(sendEmail, async ({ to }, { deps }: TaskContext<Dependencies>) => {
  await deps.mailer.send(to, 'Hello');
  return { messageId: to };
});
