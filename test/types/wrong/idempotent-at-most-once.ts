import { implement } from 'islet/task';
import { expectIdempotent } from 'islet/testing';
import { charge } from '../app.ts';

const task = implement(charge, async () => {});

// TS2741: Property '[reason]' is missing in type 'Task<TaskManifest<ObjectSchema<{ readonly cents: NumberSchema<undefined>; }, undefined>, undefined, undefined, undefined, "at-most-once">, object>' but required in type 'Refused<"an at-most-once task is never run twice: test it with runTask">'.
export const prove = () => expectIdempotent(task, { cents: 5 }, { effects: () => [] });
