import { implement, type TaskContext } from 'islet/task';
import { charge, type Dependencies } from '../app.ts';

// TS2345: Argument of type '({ cents }: { cents: number; }, { deps }: AtLeastOnceContext<Dependencies>) => Promise<void>' is not assignable to parameter of type '(payload: { cents: number; }, context: AtMostOnceContext<Dependencies>) => unknown'.
export default implement(charge, async ({ cents }, { deps }: TaskContext<Dependencies>) => {
  await deps.mailer.send(deps.sender, String(cents));
});
