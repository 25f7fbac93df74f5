import { implement } from 'islet/task';
import { sendEmail } from '../app.ts';

// TS2322: Type 'Promise<{}>' is not assignable to type 'Promise<{ messageId: number; }> | { messageId: number; }'.
export default implement(sendEmail, async () => ({}));
