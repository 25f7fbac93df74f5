import { defineQueue } from 'islet';

export default defineQueue({ name: 'images', concurrency: 2 });
