import type { ProofResult } from './run-proofs.ts';

/** Renders the line of one proof that is over. */
export function renderResult({ name, passed, minutes, end }: ProofResult): string {
  const line = `${passed ? 'passed' : 'FAILED'}  ${minutes.toFixed(1).padStart(5)} min  ${name}`;
  return passed ? line : `${line} (${end})`;
}

/** Renders the end of the run: how many passed, and what the logs complain of, also those of proofs that passed. */
export function renderSummary(results: readonly ProofResult[]): string {
  const passed = results.filter((result) => result.passed).length;
  const minutes = results.reduce((sum, result) => sum + result.minutes, 0);
  const details = results
    .filter((result) => !result.passed || result.complaints.length > 0)
    .flatMap(({ name, log, complaints }) => [`${name}: ${log}`, ...complaints.map((line) => `  ${line}`)]);
  const total = `${passed} of ${results.length} proofs passed, in ${minutes.toFixed(1)} minutes.`;
  return ['', total, ...(details.length > 0 ? ['', ...details] : [])].join('\n');
}
