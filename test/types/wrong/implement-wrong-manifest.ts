import { implement, type TaskContext } from 'islet/task';
import { type Dependencies, report } from '../app.ts';

// The code of send-email, with the manifest of report.
// TS2345: Argument of type '({ to, subject }: { day: Date; }, { deps }: AtLeastOnceContext<Dependencies>) => Promise<{ messageId: number; }>' is not assignable to parameter of type '(payload: { day: Date; }, context: AtLeastOnceContext<Dependencies>) => Promise<{ pages: number; }> | { pages: number; }'.
// TS2339: Property 'to' does not exist on type '{ day: Date; }'.
// TS2339: Property 'subject' does not exist on type '{ day: Date; }'.
export default implement(report, async ({ to, subject }, { deps }: TaskContext<Dependencies>) => {
  return { messageId: await deps.mailer.send(to, subject) };
});
