// Runs what takes longer than a change may wait for: chaos at full length, the whole bench, other versions of BullMQ and Node.
import { mkdirSync } from 'node:fs';
import { notify, runProgram } from '../kit/main.ts';
import { parseOptions } from './options.ts';
import { renderResult, renderSummary } from './report.ts';
import { type Proof, runProofs } from './run-proofs.ts';
import { listSteps, type Step } from './steps.ts';

const folder = '.islet/proofs';

process.exitCode = await runProgram(async (args, { signal }) => {
  const { only, json } = parseOptions(args);
  mkdirSync(folder, { recursive: true });
  const print = (text: string) => void process.stdout.write(`${text}\n`);
  const tell = json ? notify : print;
  const onResult = (result: Parameters<typeof renderResult>[0]) => tell(renderResult(result));
  const results = await runProofs(listSteps(only).map(toProof), { folder, halted: signal, onResult });
  tell(renderSummary(results));
  if (json) print(JSON.stringify(results));
  return results.every(({ passed }) => passed) ? 0 : 1;
});

function toProof({ name, script, flags }: Step): Proof {
  return { name, program: 'npm', args: ['run', '--silent', script, '--', ...flags] };
}
