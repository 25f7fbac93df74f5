// Scrapes local pages with the example app's worker, and reports how that went.

import { notify, runProgram } from '../kit/main.ts';
import { UsageError } from '../kit/options.ts';
import { parseOptions } from './options.ts';
import { loadPages, type Page } from './pages.ts';
import { createProgress, silentProgress } from './progress.ts';
import { renderReport } from './report.ts';
import { runDemo } from './run-demo.ts';

process.exitCode = await runProgram(demo);

async function demo(args: readonly string[], halt: AbortController): Promise<number> {
  const options = parseOptions(args);
  const { json, jobs } = options;
  const pages = enoughPages(jobs);
  const print = (text: string) => void process.stdout.write(`${text}\n`);
  const tell = json ? notify : print;
  tell(`${jobs} of ${pages.length} pages, ${options.latencyMs} ms each, ${options.concurrency} at a time.`);
  const progress = json ? silentProgress : createProgress(jobs, process.stdout);
  const { report, titles } = await runDemo({ options, pages, progress, notify: tell, halt });
  print(json ? JSON.stringify(report) : renderReport(report, titles));
  return report.completed === jobs && report.failed === 0 ? 0 : 1;
}

function enoughPages(jobs: number): Page[] {
  const pages = loadPages(process.cwd());
  if (jobs <= pages.length) return pages;
  throw new UsageError(`--jobs ${jobs} is more than the ${pages.length} pages found under node_modules and src.`);
}
