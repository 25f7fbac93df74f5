import { implement } from 'islet/task';
import { sendEmail } from '../app.ts';

// TS2339: Property 'too' does not exist on type '{ to: string; subject: string; copies?: number | undefined; }'.
export default implement(sendEmail, async ({ too }) => ({ messageId: too.length }));
