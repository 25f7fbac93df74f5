import { defineQueue } from 'islet';

export default defineQueue({ name: 'mail', concurrency: 10 });
