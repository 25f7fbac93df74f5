import '../../../queues/documents/dependencies.ts';
import '../../../queues/images/dependencies.ts';
import '../../../queues/science/dependencies.ts';
import '../../../tasks/export-links/task.ts';
import '../../../tasks/fit-curve/task.ts';
import '../../../tasks/make-thumbnail/task.ts';
import '../../../tasks/render-pdf/task.ts';
import '../../../tasks/scrape-page/task.ts';
import type { Job } from 'bullmq';
import { createHttpClient } from '../../../queues/api-scraper/http-client.ts';
import { createScrape } from '../../../queues/api-scraper/scrape.ts';

const http = createHttpClient({ refuses: () => false, maxBodyBytes: 2_097_152, maxRedirects: 5 });
const scrape = createScrape(http);
const never = new AbortController();

export default ({ data }: Job) => scrape(data.url, never.signal);
