import { defineQueue } from 'islet';

/** Jobs that wait and jobs that compute, in one worker. */
export default defineQueue({ name: 'mixed', concurrency: 100 });
