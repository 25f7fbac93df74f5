import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export type Verb = 'sent' | 'start' | 'fail' | 'end';

/** What one process has noted of a job. */
export interface Note {
  readonly verb: Verb;
  readonly at: number;
  readonly jobId: string;
  readonly by: string;
}

const file = () => join(process.env.MIGRATION_LEDGER ?? '.', `${process.pid}.log`);

/** Appends a line at once, so that nothing that happened is missing when this process ends. */
export function note(verb: Verb, jobId: string, by: string): void {
  appendFileSync(file(), `${verb} ${Date.now()} ${jobId} ${by}\n`);
}

/** Reads what all processes have noted, in the order of time. */
export function readNotes(folder: string): Note[] {
  const lines = readdirSync(folder).flatMap((name) => readFileSync(join(folder, name), 'utf8').trim().split('\n'));
  const notes = lines.map((line) => {
    const [verb, at, jobId = '', by = ''] = line.split(' ');
    return { verb: verb as Verb, at: Number(at), jobId, by };
  });
  return notes.sort((a, b) => a.at - b.at);
}
