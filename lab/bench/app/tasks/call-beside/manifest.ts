import { defineTask } from 'islet';
import * as v from 'valibot';

export default defineTask({ name: 'call-beside', queue: 'mixed', payload: v.object({ url: v.string() }) });
