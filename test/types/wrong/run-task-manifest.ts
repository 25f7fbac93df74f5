import { runTask } from 'islet/testing';
import { sendEmail } from '../app.ts';

// TS2739: Type 'TaskManifest<ObjectSchema<{ readonly to: StringSchema<undefined>; readonly subject: StringSchema<undefined>; readonly copies: OptionalSchema<NumberSchema<undefined>, undefined>; }, undefined>, ObjectSchema<...>, undefined, undefined, "at-least-once">' is missing the following properties from type 'Task<AnyTask, object>': manifest, run
export const run = () => runTask(sendEmail, { to: 'a@example.com', subject: 'Hello' });
