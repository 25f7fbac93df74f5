import { defineQueue } from 'islet';

export default defineQueue({
  name: 'science',
  budget: { maxRssMb: 220, packages: ['mathjs', 'valibot'] },
});
