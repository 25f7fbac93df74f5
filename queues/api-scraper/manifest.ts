import { defineQueue } from 'islet';

export default defineQueue({ name: 'api-scraper', concurrency: 100 });
