import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { renderResult, renderSummary } from '../../../../lab/proofs/report.ts';
import { type Proof, type ProofResult, runProofs } from '../../../../lab/proofs/run-proofs.ts';

let folder: string;
let seen: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'islet-proofs-'));
  seen = [];
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const shell = (name: string, line: string): Proof => ({ name, program: '/bin/sh', args: ['-c', line] });
const run = (proofs: Proof[], halted = new AbortController().signal) =>
  runProofs(proofs, { folder, halted, onResult: ({ name }) => void seen.push(name) });

test('runs every proof, whatever fails, and keeps what each printed', async () => {
  const results = await run([
    shell('first', 'echo out; echo "FAILED: noop" >&2; exit 3'),
    shell('second', 'kill -9 $$'),
    shell('third', 'echo fine'),
  ]);
  expect(results.map(({ passed, end, complaints }) => ({ passed, end, complaints }))).toEqual([
    { passed: false, end: 'exit code 3', complaints: ['FAILED: noop'] },
    { passed: false, end: 'SIGKILL', complaints: [] },
    { passed: true, end: 'exit code 0', complaints: [] },
  ]);
  expect(seen).toEqual(['first', 'second', 'third']);
  expect(readFileSync(join(folder, 'first.log'), 'utf8').split('\n').sort()).toEqual(['', 'FAILED: noop', 'out']);
});

test('ends the running proof with all that it has started, and runs no other, when it is halted', async () => {
  const halt = new AbortController();
  const line = "(trap 'echo ended; exit' TERM; echo started; while true; do sleep 0.05; done) & wait";
  const running = run([shell('long', line), shell('never', 'true')], halt.signal);
  const log = () => readFileSync(join(folder, 'long.log'), 'utf8');
  await vi.waitFor(() => expect(log()).toBe('started\n'), 5_000);
  halt.abort(new Error('Interrupted.'));
  await expect(running).rejects.toThrow('Interrupted.');
  // A shell may also say that it was told to end.
  expect(log()).toMatch(/ended\n$/);
  expect(seen).toEqual([]);
});

test('a proof has one line, and the summary tells what the logs complain of', () => {
  const result: ProofResult = { name: 'a', passed: true, minutes: 2, end: 'exit code 0', log: 'a.log', complaints: [] };
  const missed = { ...result, name: 'bench', log: 'bench.log', complaints: ['drain  1.2  <= 1.05  MISSED'] };
  const failed = { ...result, name: 'b', passed: false, minutes: 1.5, end: 'exit code 1', log: 'b.log' };
  expect([result, failed].map(renderResult)).toEqual(['passed    2.0 min  a', 'FAILED    1.5 min  b (exit code 1)']);
  expect(renderSummary([result, missed, failed])).toBe(
    '\n2 of 3 proofs passed, in 5.5 minutes.\n\nbench: bench.log\n  drain  1.2  <= 1.05  MISSED\nb: b.log',
  );
});
