import { defineQueue } from 'islet';

export default defineQueue({ name: 'documents', concurrency: 4 });
