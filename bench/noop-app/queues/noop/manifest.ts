import { defineQueue } from 'islet';

export default defineQueue({ name: 'noop', concurrency: 100 });
