import { defineQueue } from 'islet';

export default defineQueue({
  name: 'api-scraper',
  concurrency: 100,
  budget: { maxRssMb: 140, packages: ['valibot', 'htmlparser2'] },
});
