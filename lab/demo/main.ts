import { type DemoOptions, parseOptions, UsageError } from './options.ts';
import { loadPages, type Page } from './pages.ts';
import { createProgress, silentProgress } from './progress.ts';
import { renderReport } from './report.ts';
import { runDemo } from './run-demo.ts';

class Interrupted extends Error {}

process.exitCode = await main();

async function main(): Promise<number> {
  const halt = new AbortController();
  // `on`, not `once`: under npm one Ctrl-C arrives twice, and the second must not cut the cleanup short.
  const interrupt = () => halt.abort(new Interrupted('Interrupted.'));
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  try {
    const options = parseOptions(process.argv.slice(2));
    return await demo(options, enoughPages(options.jobs), halt);
  } catch (error) {
    process.stderr.write(`${describe(error)}\n`);
    if (error instanceof UsageError) return 2;
    return halt.signal.reason instanceof Interrupted ? 130 : 1;
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}

async function demo(options: DemoOptions, pages: readonly Page[], halt: AbortController): Promise<number> {
  const { json, jobs } = options;
  const notify = (text: string) => void (json ? process.stderr : process.stdout).write(`${text}\n`);
  notify(`${jobs} of ${pages.length} pages, ${options.latencyMs} ms each, ${options.concurrency} at a time.`);
  const progress = json ? silentProgress : createProgress(jobs, process.stdout);
  const { report, titles } = await runDemo({ options, pages, progress, notify, halt });
  process.stdout.write(`${json ? JSON.stringify(report) : renderReport(report, titles)}\n`);
  if (halt.signal.reason instanceof Interrupted) return 130;
  return report.completed === jobs && report.failed === 0 ? 0 : 1;
}

function enoughPages(jobs: number): Page[] {
  const pages = loadPages(process.cwd());
  if (jobs <= pages.length) return pages;
  throw new UsageError(`--jobs ${jobs} is more than the ${pages.length} pages found under node_modules and src.`);
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
