import { defineTask } from 'islet';
import * as v from 'valibot';

/** Where to is said by the payload, as for a scraper. */
export default defineTask({ name: 'call', queue: 'bench', payload: v.object({ url: v.string() }) });
