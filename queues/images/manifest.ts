import { defineQueue } from 'islet';

export default defineQueue({
  name: 'images',
  concurrency: 2,
  budget: { maxRssMb: 140, packages: ['valibot', 'sharp'] },
});
