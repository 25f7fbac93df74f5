import { defineQueue } from 'islet';

export default defineQueue({
  name: 'images',
  concurrency: 2,
  budget: { maxRssMb: 130, packages: ['sharp', 'valibot'] },
});
