import { defineQueue } from 'islet';

export default defineQueue({
  name: 'documents',
  concurrency: 4,
  budget: { maxRssMb: 130, packages: ['pdfkit', 'valibot'] },
});
