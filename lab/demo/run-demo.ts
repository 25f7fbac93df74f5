import { setTimeout as sleep } from 'node:timers/promises';
import { createProducer, type ResultHandle } from 'islet/producer';
import scrapePage from '../../tasks/scrape-page/manifest.ts';
import { Cleanups } from '../kit/cleanups.ts';
import { messageOf } from '../kit/main.ts';
import { settlesWithin } from '../kit/wait.ts';
import type { DemoOptions } from './options.ts';
import type { Page } from './pages.ts';
import type { Progress } from './progress.ts';
import { deleteKeys, openRedis } from './redis.ts';
import type { Report } from './report.ts';
import { ScraperWorker } from './scraper-worker.ts';
import { createSite, type Site } from './site.ts';

export interface DemoRun {
  readonly options: DemoOptions;
  readonly pages: readonly Page[];
  readonly progress: Progress;
  readonly notify: (text: string) => void;
  /** Ends the run: the caller aborts it on a signal, the run itself when its worker dies. */
  readonly halt: AbortController;
}

type Producer = ReturnType<typeof createProducer>;

const queue = 'api-scraper';
const titlesShown = 5;
const pollEveryMs = 25;
const stuckAfterMs = 60_000;
const readyWithinMs = 60_000;

/** Scrapes the pages once with a worker of its own, and takes away all that it started, whatever happens. */
export async function runDemo(run: DemoRun): Promise<{ report: Report; titles: string[] }> {
  const cleanups = new Cleanups();
  try {
    return await scrapeAll(run, cleanups);
  } finally {
    run.progress.end();
    await cleanups.run(run.notify);
  }
}

async function scrapeAll({ options, pages, progress, notify, halt }: DemoRun, cleanups: Cleanups) {
  const { jobs, concurrency } = options;
  const prefix = `islet-demo-${process.pid}`;
  const redis = await openRedis();
  cleanups.add(() => redis.close());
  if (redis.notice) notify(redis.notice);
  cleanups.add(() => deleteKeys(redis.url, prefix));
  const site = await createSite(pages, options.latencyMs);
  cleanups.add(() => site.close());
  const producer = createProducer({ redis: redis.url, prefix });
  cleanups.add(() => producer.close());
  halt.signal.throwIfAborted();

  const worker = new ScraperWorker({ redisUrl: redis.url, prefix, concurrency }, (error) => halt.abort(error));
  cleanups.add(() => worker.stop());
  // The seconds measure the work, not the start of a process.
  await untilReady(worker, halt.signal);
  const handles = await producer.enqueueMany(scrapePage, itemsOf(site, pages.slice(0, jobs)));
  const settledAt = await allSettled(producer, jobs, halt.signal, (n) => progress.show(n, site.stats.inFlight));
  progress.end();

  const { failed } = await producer.counts(queue);
  const titles = await Promise.all(
    handles.slice(0, titlesShown).map((handle) => titleOf(handle as ResultHandle<unknown>)),
  );
  await worker.stop();
  // The worker may have died after its last job: then its numbers are not to be trusted.
  halt.signal.throwIfAborted();
  const seconds = (settledAt - (site.stats.firstRequestAt ?? settledAt)) / 1000;
  const { completed, peakRssMb } = worker;
  const pagesPerSecond = seconds > 0 ? round(completed / seconds, 1) : 0;
  const { peakInFlight } = site.stats;
  return {
    report: { jobs, completed, failed, seconds: round(seconds, 2), pagesPerSecond, peakInFlight, peakRssMb },
    titles,
  };
}

function itemsOf(site: Site, pages: readonly Page[]) {
  return pages.map((page, at) => ({
    payload: { url: `${site.origin}${page.path}` },
    // A result costs memory of Redis, so Redis keeps only those that are printed.
    ...(at < titlesShown ? { keepResultMs: 60_000 } : {}),
  }));
}

/** Waits until no job is left to do, and returns that moment by performance.now(). */
async function allSettled(producer: Producer, jobs: number, halted: AbortSignal, show: (settled: number) => void) {
  let last = { settled: -1, at: performance.now() };
  while (true) {
    const counts = await producer.counts(queue);
    const now = performance.now();
    halted.throwIfAborted();
    const left = counts.waiting + counts.active + counts.delayed + counts.prioritized;
    show(jobs - left);
    if (left === 0) return now;
    if (jobs - left !== last.settled) last = { settled: jobs - left, at: now };
    if (now - last.at > stuckAfterMs) {
      throw new Error(`No job settled for ${stuckAfterMs / 1000} s. Seen last: ${JSON.stringify(counts)}.`);
    }
    await sleep(pollEveryMs);
  }
}

async function titleOf(handle: { result(options: { timeoutMs: number }): Promise<unknown> }): Promise<string> {
  try {
    const result = await handle.result({ timeoutMs: 5_000 });
    return typeof result === 'object' && result && 'title' in result ? String(result.title) : JSON.stringify(result);
  } catch (error) {
    return `(no title: ${messageOf(error)})`;
  }
}

async function untilReady(worker: ScraperWorker, halted: AbortSignal): Promise<void> {
  const isReady = settlesWithin(Promise.race([worker.ready, aborted(halted)]), readyWithinMs);
  if (!(await isReady)) throw new Error(`The worker was not ready within ${readyWithinMs / 1000} s.`);
}

/** Rejects with the signal's reason once that is aborted. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = () => reject(signal.reason);
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
