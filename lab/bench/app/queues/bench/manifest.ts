import { defineQueue } from 'islet';

export default defineQueue({ name: 'bench', concurrency: 100 });
