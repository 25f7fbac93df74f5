import { defineQueue } from 'islet';

export default defineQueue({
  name: 'science',
  concurrency: 1,
  budget: { maxRssMb: 220, packages: ['mathjs', 'valibot'] },
});
