import { defineQueue } from 'islet';

// if: template
declare const __CONCURRENCY__: number;

// end
export default defineQueue({
  name: '__QUEUE__',
  concurrency: __CONCURRENCY__,
});
