import type { Crash, JobMemory } from './broker.ts';

/** The fields of Islet's own in a job's hash, beside BullMQ's. */
export const memoryFields = {
  /** `<delivery>` that wrote the at-most-once fence. */
  started: 'i:started',
  /** Milliseconds since 1970, separated by blanks. */
  releases: 'i:releases',
  /** `<ms>,<worker>,<blame>`, by blanks; blame is "culprit", "suspect", "unit", or "expired" (not proven yet). */
  crashes: 'i:crashes',
  /** Why it was cancelled. */
  cancel: 'i:cancel',
  /** Milliseconds since 1970. */
  unknownSince: 'i:unknown',
  /** BullMQ's count of starts (`ats`) in the last delivery that was settled: it may not be taken back. */
  settled: 'i:settled',
} as const;

const words = (text: string | undefined) => (text ? text.split(' ') : []);

/** A crash as stored: a lock that ran out is one only if its worker is gone. */
export interface StoredCrash extends Omit<Crash, 'blame'> {
  readonly blame: Crash['blame'] | 'expired';
}

function parseCrash(text: string): StoredCrash {
  const [at = '0', worker = '', blame = 'suspect'] = text.split(',');
  return { at: Number(at), worker, blame: blame as StoredCrash['blame'] };
}

/** Adds a crash of a job's thread or process to what was read of those before. */
export function addUnitCrash(before: readonly StoredCrash[], at: number, worker: string): string {
  const all = [...before, { at, worker, blame: 'unit' }];
  return all.map((crash) => `${crash.at},${crash.worker},${crash.blame}`).join(' ');
}

/** What is remembered of a job, its crashes as they are stored. */
export type StoredMemory = Omit<JobMemory, 'crashes'> & { readonly crashes: readonly StoredCrash[] };

/** Most jobs have none of it. */
const nothing: StoredMemory = {
  started: undefined,
  releases: [],
  crashes: [],
  cancel: undefined,
  unknownSince: undefined,
};

/** Reads Islet's fields out of a job's hash, where they stand beside BullMQ's. */
export function parseMemory(hash: Readonly<Record<string, string | undefined>>): StoredMemory {
  const started = hash[memoryFields.started];
  const releases = hash[memoryFields.releases];
  const crashes = hash[memoryFields.crashes];
  const cancel = hash[memoryFields.cancel];
  const unknownSince = hash[memoryFields.unknownSince];
  if ((started ?? releases ?? crashes ?? cancel ?? unknownSince) === undefined) return nothing;
  return {
    started,
    releases: words(releases).map(Number),
    crashes: words(crashes).map(parseCrash),
    cancel,
    unknownSince: unknownSince ? Number(unknownSince) : undefined,
  };
}
