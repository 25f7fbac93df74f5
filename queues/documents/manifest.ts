import { defineQueue } from 'islet';

export default defineQueue({
  name: 'documents',
  concurrency: 4,
  budget: { maxRssMb: 140, packages: ['valibot', 'pdfkit'] },
});
