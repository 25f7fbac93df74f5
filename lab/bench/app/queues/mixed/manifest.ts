import { defineQueue } from 'islet';

/** Jobs that wait and jobs that compute share this queue's worker. */
export default defineQueue({ name: 'mixed', concurrency: 100 });
