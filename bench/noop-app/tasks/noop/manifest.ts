import { defineTask } from 'islet';
import * as v from 'valibot';

export default defineTask({ name: 'noop', queue: 'noop', payload: v.object({ n: v.number() }) });
