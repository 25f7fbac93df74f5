import { implement } from 'islet/task';
import { sendEmail } from '../app.ts';

// TS2345: Argument of type '({ to }: { to: string; subject: string; copies?: number | undefined; }) => Promise<{ messageId: string; }>' is not assignable to parameter of type '(payload: { to: string; subject: string; copies?: number | undefined; }, context: AtLeastOnceContext<object>) => Promise<{ messageId: number; }> | { messageId: number; }'.
export default implement(sendEmail, async ({ to }) => {
  return { messageId: to };
});
