import { defineQueue } from 'islet';
import { implement } from 'islet/task';

// TS2345: Argument of type 'QueueManifest' is not assignable to parameter of type 'AnyTask'.
export default implement(defineQueue({ name: 'mail' }), async () => {});
