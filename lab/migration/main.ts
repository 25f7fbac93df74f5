// Moves a queue of plain BullMQ to Islet and back under load, and shows that no job is lost, doubled or stuck.
import { notify, runProgram } from '../kit/main.ts';
import { parseOptions } from './options.ts';
import { renderReport } from './report.ts';
import { isSound, runMigration } from './run-migration.ts';

process.exitCode = await runProgram(async (args, { signal }) => {
  const options = parseOptions(args);
  const figures = await runMigration({ options, halted: signal, notify });
  process.stdout.write(`${renderReport(figures)}\n`);
  if (options.json) process.stdout.write(`${JSON.stringify(figures)}\n`);
  return isSound(figures) ? 0 : 1;
});
