// Islet side by side with what it is measured against, in one run on one machine.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseOptions, UsageError } from './options.ts';
import { renderCase, renderEnd } from './print.ts';
import { runBench } from './run-bench.ts';

process.exitCode = await main();

async function main(): Promise<number> {
  // Children are killed as this process exits.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
  try {
    const options = parseOptions(process.argv.slice(2));
    const results = await runBench(options, {
      notify: (text) => void process.stderr.write(`${text}\n`),
      onCase: (result) => void (options.json || process.stdout.write(`${renderCase(result)}\n`)),
    });
    mkdirSync(dirname(options.out), { recursive: true });
    const json = `${JSON.stringify(results, null, 2)}\n`;
    writeFileSync(options.out, json);
    process.stdout.write(options.json ? json : `${renderEnd(results)}\nResults: ${options.out}\n`);
    return results.failures.length === 0 ? 0 : 1;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}
