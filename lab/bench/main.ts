// Islet side by side with what it is measured against, in one run on one machine.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { notify, runProgram } from '../kit/main.ts';
import { parseOptions } from './options.ts';
import { renderCase, renderEnd } from './print.ts';
import { runBench } from './run-bench.ts';

process.exitCode = await runProgram(async (args, { signal }) => {
  // Children are killed and folders removed as this process exits, so a signal ends it at once.
  signal.addEventListener('abort', () => process.exit(130));
  const options = parseOptions(args);
  const results = await runBench(options, {
    notify,
    onCase: (result) => void (options.json || process.stdout.write(`${renderCase(result)}\n`)),
  });
  mkdirSync(dirname(options.out), { recursive: true });
  const json = `${JSON.stringify(results, null, 2)}\n`;
  writeFileSync(options.out, json);
  process.stdout.write(options.json ? json : `${renderEnd(results)}\nResults: ${options.out}\n`);
  return results.failures.length === 0 ? 0 : 1;
});
