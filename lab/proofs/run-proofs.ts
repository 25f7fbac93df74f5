import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child, type Command, describeEnd } from '../kit/child.ts';

/** A command that proves something by exiting with 0. */
export interface Proof extends Command {
  readonly name: string;
}

export interface ProofResult {
  readonly name: string;
  readonly passed: boolean;
  readonly minutes: number;
  /** How the command ended, such as "exit code 1". */
  readonly end: string;
  readonly log: string;
  /** The lines of the log that tell of something that does not hold. */
  readonly complaints: readonly string[];
}

export interface ProofsRun {
  /** Where each proof's output goes, into a file of its own. */
  readonly folder: string;
  readonly halted: AbortSignal;
  onResult(result: ProofResult): void;
}

const stopLimitMs = 60_000;
/** A mark of the bench that is missed, one of chaos that is broken, a failure of either, or a test that fails. */
const complaint = /\bMISSED\b|\bBROKEN\b|\bFAILED\b|^ ?FAIL /;

/** Runs the proofs one after the other, all of them, whatever fails. Throws the signal's reason once it is aborted. */
export async function runProofs(proofs: readonly Proof[], run: ProofsRun): Promise<ProofResult[]> {
  const results: ProofResult[] = [];
  for (const proof of proofs) {
    const result = await prove(proof, run);
    run.halted.throwIfAborted();
    run.onResult(result);
    results.push(result);
  }
  return results;
}

async function prove({ name, ...command }: Proof, { folder, halted }: ProofsRun): Promise<ProofResult> {
  halted.throwIfAborted();
  const log = join(folder, `${name}.log`);
  const startedAt = performance.now();
  // npm and the shells below it lead to the program that does the work: a signal has to reach them all.
  const child = new Child({ ...command, leadsGroup: true });
  const logged = child.logTo(log);
  const stop = () => void child.stop(stopLimitMs);
  halted.addEventListener('abort', stop);
  const end = await child.closed;
  halted.removeEventListener('abort', stop);
  await logged;
  return {
    name,
    passed: end.code === 0,
    minutes: (performance.now() - startedAt) / 60_000,
    end: describeEnd(end),
    log,
    complaints: findComplaints(readFileSync(log, 'utf8')),
  };
}

/** Finds the lines that tell of something that does not hold; some programs print one both as it happens and at the end. */
function findComplaints(log: string): string[] {
  const found = log.split('\n').filter((line) => complaint.test(line));
  return [...new Set(found.map((line) => line.trim()))];
}
