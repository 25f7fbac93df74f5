import { defineQueue } from 'islet';

export default defineQueue({
  name: 'api-scraper',
  concurrency: 100,
  budget: { maxRssMb: 150, packages: ['exceljs', 'htmlparser2', 'valibot'] },
});
