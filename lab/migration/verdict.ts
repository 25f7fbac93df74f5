import type { Note } from './ledger.ts';
import { attempts, jobOf, type Library } from './plan.ts';

/** What Redis holds at the end. */
export interface Held {
  readonly failed: ReadonlySet<string>;
  /** The jobs that have not ended. */
  readonly unfinished: ReadonlySet<string>;
}

export interface PhaseFigures {
  readonly name: string;
  readonly sent: number;
  /** How often each library began to run a job in this phase. */
  readonly ran: Readonly<Record<Library, number>>;
}

export interface Figures {
  readonly sent: number;
  readonly completed: number;
  readonly failed: number;
  /** Neither ended nor in Redis. */
  readonly lost: readonly string[];
  /** Run more often than it should have been. */
  readonly doubled: readonly string[];
  /** Still in Redis. */
  readonly stuck: readonly string[];
  /** Not as often tried, or not ended, as its own options say. */
  readonly otherwise: readonly string[];
  readonly phases: readonly PhaseFigures[];
}

/** How often the code of a job has to start, and whether it ends well. */
function expected(id: string): { starts: number; ends: number } {
  if (id.endsWith('-child')) return { starts: 1, ends: 1 };
  const [, name = '', index = '0'] = /^(.*)-(\d+)$/.exec(id) ?? [];
  const { failures } = jobOf(name, Number(index));
  return failures >= attempts ? { starts: attempts, ends: 0 } : { starts: failures + 1, ends: 1 };
}

/** Judges a move from what all processes have noted, and from what Redis holds. */
export function judge(notes: readonly Note[], held: Held, phases: readonly { name: string; from: number }[]): Figures {
  const count = (verb: Note['verb']) => {
    const counts = new Map<string, number>();
    for (const note of notes) if (note.verb === verb) counts.set(note.jobId, (counts.get(note.jobId) ?? 0) + 1);
    return counts;
  };
  const [sent, starts, ends] = [count('sent'), count('start'), count('end')];
  const ids = [...sent.keys()];
  const startsOf = (id: string) => starts.get(id) ?? 0;
  const endsOf = (id: string) => ends.get(id) ?? 0;
  const stuck = ids.filter((id) => held.unfinished.has(id));
  const lost = ids.filter((id) => endsOf(id) === 0 && !held.failed.has(id) && !held.unfinished.has(id));
  const doubled = ids.filter((id) => startsOf(id) > expected(id).starts || endsOf(id) > 1);
  const isOtherwise = (id: string) => startsOf(id) !== expected(id).starts || endsOf(id) !== expected(id).ends;
  return {
    sent: ids.length,
    completed: ids.filter((id) => endsOf(id) > 0).length,
    failed: ids.filter((id) => held.failed.has(id)).length,
    lost,
    doubled,
    stuck,
    otherwise: ids.filter(isOtherwise),
    phases: phases.map(({ name, from }, at) => {
      const inside = notes.filter((note) => note.at >= from && note.at < (phases[at + 1]?.from ?? Infinity));
      const by = (library: Library) => inside.filter((note) => note.verb === 'start' && note.by === library).length;
      const ran = { bullmq5: by('bullmq5'), bullmq6: by('bullmq6'), islet: by('islet') };
      return { name, sent: inside.filter(({ verb }) => verb === 'sent').length, ran };
    }),
  };
}
