import type { Added, JobToAdd, ProducerBroker } from '../broker/broker.ts';
import { EnqueueError, type EnqueueProgress, type IsletError } from '../errors.ts';

/** A confirmed job: its id, or that of the job which stands for it. */
export type Confirmed = Exclude<Added, { error: unknown }>;

/** How chunks of jobs get to the broker. */
export interface Carrier extends Pick<ProducerBroker, 'ready' | 'explain'> {
  add(chunk: readonly JobToAdd[]): Promise<Added[]>;
}

export const chunkSize = 500;

const idsOf = (jobs: readonly JobToAdd[]) => jobs.map(({ id }) => id);

/** A repeat is safe because the id, or the key, still stands for the job. */
function adviseRepeat(jobs: readonly JobToAdd[]): string {
  const by = jobs.some(({ dedupe }) => dedupe) ? 'dedupe key' : 'id';
  return jobs.length === 1
    ? `Enqueue it again with the same ${by}: it is not made twice.`
    : `Enqueue the rest again with the same ${by}s: none is made twice.`;
}

function notConfirmed(known: IsletError, cause: unknown, jobs: readonly JobToAdd[], progress: EnqueueProgress): Error {
  const { accepted, uncertain, notSent } = progress;
  const advice = adviseRepeat(jobs);
  const lost = known.code === 'E_REDIS_UNREACHABLE' && uncertain.length > 0;
  const code = lost ? 'E_ENQUEUE_UNCERTAIN' : known.code;
  if (jobs.length > 1) {
    const counts = `${accepted.length} are in, ${uncertain.length} may be, ${notSent.length} were not sent`;
    return new EnqueueError(code, `Of ${jobs.length} jobs, ${counts}: ${known.message} ${advice}`, progress, { cause });
  }
  if (!lost) return known;
  const seen = `Job "${jobs[0]?.id}" may be in queue: Redis did not answer (${known.message})`;
  return new EnqueueError(code, `${seen} ${advice}`, progress, { cause });
}

/** Sends one chunk. Never throws: an error that concerns the whole chunk concerns each of its jobs. */
async function addChunk({ add }: Carrier, chunk: readonly JobToAdd[]): Promise<Added[]> {
  try {
    return await add(chunk);
  } catch (error) {
    return chunk.map(() => ({ error }));
  }
}

/**
 * Sends jobs in chunks of 500, and stops at the first chunk that Redis did not confirm as a whole. Throws an
 * `EnqueueError` then; of a single job that was not sent, or was refused, what Redis said.
 */
export async function sendChunks(jobs: readonly JobToAdd[], carrier: Carrier): Promise<Confirmed[]> {
  const confirmed: Confirmed[] = [];
  for (let start = 0; start < jobs.length; start += chunkSize) {
    const chunk = jobs.length <= chunkSize ? jobs : jobs.slice(start, start + chunkSize);
    try {
      await carrier.ready();
    } catch (error) {
      const progress = { accepted: idsOf(jobs.slice(0, start)), uncertain: [], notSent: idsOf(jobs.slice(start)) };
      throw notConfirmed(carrier.explain(error), error, jobs, progress);
    }
    const added = await addChunk(carrier, chunk);
    for (const [index, one] of added.entries()) {
      if ('error' in one) throw refused(jobs, start, added, one.error, carrier);
      confirmed[start + index] = one;
    }
  }
  return confirmed;
}

/** Says of all jobs where they are when one of a chunk was not confirmed. */
function refused(jobs: readonly JobToAdd[], start: number, added: readonly Added[], cause: unknown, carrier: Carrier) {
  const chunk = jobs.slice(start, start + added.length);
  const isIn = (index: number) => 'id' in (added[index] ?? {});
  const progress = {
    accepted: idsOf([...jobs.slice(0, start), ...chunk.filter((_, index) => isIn(index))]),
    uncertain: idsOf(chunk.filter((_, index) => !isIn(index))),
    notSent: idsOf(jobs.slice(start + chunk.length)),
  };
  return notConfirmed(carrier.explain(cause), cause, jobs, progress);
}
