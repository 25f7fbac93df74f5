import type { PayloadOutput } from 'islet';
import { implement } from 'islet/task';
import { report, type sendEmail } from '../app.ts';

// TS2345: Argument of type '({ to }: PayloadOutput<typeof sendEmail>) => Promise<{ pages: number; }>' is not assignable to parameter of type '(payload: { day: Date; }, context: AtLeastOnceContext<object>) => Promise<{ pages: number; }> | { pages: number; }'.
export default implement(report, async ({ to }: PayloadOutput<typeof sendEmail>) => ({ pages: to.length }));
