// Proves the promises of delivery: many jobs, several workers, a Redis of its own, and faults by a seeded schedule.
import { parseOptions, UsageError } from './options.ts';
import { renderReport } from './report.ts';
import { runChaos } from './run-chaos.ts';

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
    const notify = (text: string) => void process.stderr.write(`${text}\n`);
    const report = await runChaos({ options, halt, notify });
    process.stdout.write(`${renderReport(report)}\n`);
    if (options.json) process.stdout.write(`${JSON.stringify(report)}\n`);
    return report.marks.every(({ holds }) => holds) ? 0 : 1;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    if (error instanceof UsageError) return 2;
    return halt.signal.reason instanceof Interrupted ? 130 : 1;
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}
