// Proves the promises of delivery: many jobs, several workers, a Redis of its own, and faults by a seeded schedule.
import { notify, runProgram } from '../kit/main.ts';
import { parseOptions } from './options.ts';
import { renderReport } from './report.ts';
import { runChaos } from './run-chaos.ts';

process.exitCode = await runProgram(async (args, halt) => {
  const options = parseOptions(args);
  const report = await runChaos({ options, halt, notify });
  process.stdout.write(`${renderReport(report)}\n`);
  if (options.json) process.stdout.write(`${JSON.stringify(report)}\n`);
  return report.marks.every(({ holds }) => holds) ? 0 : 1;
});
