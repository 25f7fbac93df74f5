import type { Crash, JobMemory } from './broker.ts';

/** Islet's own fields in a job's hash. Times are in milliseconds since 1970. */
export const memoryFields = {
  started: 'i:started',
  /** Times, separated by blanks. */
  releases: 'i:releases',
  /** `<time>,<worker>,<blame>`, separated by blanks. The blame may be "expired": not proven yet. */
  crashes: 'i:crashes',
  cancel: 'i:cancel',
  /** The worker that runs the job has aborted it for its cancel. */
  aborted: 'i:aborted',
  unknownSince: 'i:unknown',
  unsettled: 'i:unsettled',
  /** BullMQ's count of fetches (`ats`) in the last delivery that was settled: the job may not be taken back. */
  settled: 'i:settled',
  /** The job was completed, and is kept: whoever puts it back leaves this. */
  completed: 'i:completed',
} as const;

const words = (text: string | undefined) => (text ? text.split(' ') : []);

/**
 * A crash as it is stored. An `expired` one is a lock that ran out, which counts as a crash only if its worker is gone.
 */
export interface StoredCrash extends Omit<Crash, 'blame'> {
  readonly blame: Crash['blame'] | 'expired';
}

function parseCrash(text: string): StoredCrash {
  const [at = '0', worker = '', blame = 'suspect'] = text.split(',');
  return { at: Number(at), worker, blame: blame as StoredCrash['blame'] };
}

/** Adds a crash of a job's thread or process to those before it. */
export function addUnitCrash(before: readonly StoredCrash[], at: number, worker: string): string {
  const all = [...before, { at, worker, blame: 'unit' }];
  return all.map((crash) => `${crash.at},${crash.worker},${crash.blame}`).join(' ');
}

export type StoredMemory = Omit<JobMemory, 'crashes'> & { readonly crashes: readonly StoredCrash[] };

/** The memory of a job whose hash has none of these fields, as most have, or whose fields cannot be read. */
export const nothing: StoredMemory = {
  started: undefined,
  releases: [],
  crashes: [],
  cancel: undefined,
  unknownSince: undefined,
  unsettled: 0,
};

/** Reads Islet's fields out of a job's hash. */
export function parseMemory(hash: Readonly<Record<string, string | undefined>>): StoredMemory {
  const started = hash[memoryFields.started];
  const releases = hash[memoryFields.releases];
  const crashes = hash[memoryFields.crashes];
  const cancel = hash[memoryFields.cancel];
  const unknownSince = hash[memoryFields.unknownSince];
  const unsettled = hash[memoryFields.unsettled];
  if ((started ?? releases ?? crashes ?? cancel ?? unknownSince ?? unsettled) === undefined) return nothing;
  return {
    started,
    releases: words(releases).map(Number),
    crashes: words(crashes).map(parseCrash),
    cancel,
    unknownSince: unknownSince ? Number(unknownSince) : undefined,
    unsettled: Number(unsettled ?? 0),
  };
}

/** The last time that JavaScript can tell. */
const lastTime = 8.64e15;

export const isTime = (value: number) => value >= 0 && value <= lastTime;

/** Tells whether all that a memory holds is what it is taken for; somebody else may have written it. */
export function isReadable(memory: StoredMemory): boolean {
  const { releases, crashes, unknownSince = 0, unsettled } = memory;
  if (memory === nothing) return true;
  const times = [...releases, ...crashes.map(({ at }) => at), unknownSince];
  return times.every(isTime) && Number.isSafeInteger(unsettled);
}
