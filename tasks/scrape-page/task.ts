import { implement, type TaskContext } from 'islet/task';
import type { Dependencies } from '../../queues/api-scraper/dependencies.ts';
import manifest from './manifest.ts';

export default implement(manifest, ({ url }, { deps, signal }: TaskContext<Dependencies>) => deps.scrape(url, signal));
