import { defineQueue } from 'islet';

export default defineQueue({ name: 'science', concurrency: 1 });
