import { defineTask } from 'islet';
import * as v from 'valibot';

/** The payload says what to call, as for a scraper. */
export default defineTask({ name: 'call', queue: 'bench', payload: v.object({ url: v.string() }) });
