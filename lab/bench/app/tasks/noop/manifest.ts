import { defineTask } from 'islet';
import * as v from 'valibot';

export default defineTask({ name: 'noop', queue: 'bench', payload: v.object({ n: v.number() }) });
