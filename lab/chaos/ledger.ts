import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** One start of a job's user code and what came of it, as the ledger has it. */
export interface Run {
  readonly jobId: string;
  readonly task: string;
  readonly pid: number;
  readonly attempt: number;
  readonly startedAt: number;
  endedAt?: number;
  failedAt?: number;
  /** The code of the error that the run's signal aborted with. */
  abortedBy?: string;
}

interface Line {
  readonly verb: string;
  readonly at: number;
  readonly pid: number;
  readonly jobId: string;
  readonly task: string;
  readonly attempt: number;
  readonly note: string;
}

/** Reads all files that the workers wrote. */
export function readLedger(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).map((file) => readFileSync(join(folder, file), 'utf8'));
}

/** Returns the size of the ledger, which grows with every line: a measure of progress that asks nobody. */
export function ledgerBytes(folder: string): number {
  if (!existsSync(folder)) return 0;
  return readdirSync(folder).reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
}

/** Parses the files of the ledger into runs, in the order in which they started. */
export function parseRuns(files: readonly string[]): Run[] {
  return files.flatMap(parseFile).sort((a, b) => a.startedAt - b.startedAt);
}

function parseFile(text: string): Run[] {
  const runs: Run[] = [];
  const open = new Map<string, Run[]>();
  for (const line of text.split('\n').flatMap(parseLine)) {
    const { verb, at, pid, jobId, task, attempt, note } = line;
    const key = `${jobId} ${attempt}`;
    const [run, ...others] = open.get(key) ?? [];
    if (verb === 'start') {
      const started: Run = { jobId, task, pid, attempt, startedAt: at };
      runs.push(started);
      open.set(key, [...(open.get(key) ?? []), started]);
    } else if (run !== undefined) {
      if (verb === 'abort') run.abortedBy = note;
      if (verb === 'end') run.endedAt = at;
      if (verb === 'fail') run.failedAt = at;
      if (verb === 'end' || verb === 'fail') open.set(key, others);
    }
  }
  return runs;
}

/** Parses a line. Drops half a line, as a process that was killed leaves it. */
function parseLine(text: string): Line[] {
  const [verb = '', at, pid, jobId = '', task = '', attempt, note] = text.split(' ');
  if (note === undefined) return [];
  return [{ verb, at: Number(at), pid: Number(pid), jobId, task, attempt: Number(attempt), note }];
}
