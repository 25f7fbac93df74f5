import { defineQueue } from 'islet';

// TS2561: Object literal may only specify known properties, but 'concurency' does not exist in type 'QueueOptions'. Did you mean to write 'concurrency'?
export default defineQueue({ name: 'images', concurency: 4 });
