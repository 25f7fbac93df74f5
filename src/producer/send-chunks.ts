import type { Added, JobToAdd, ProducerBroker } from '../broker/broker.ts';
import { EnqueueError, JobIdTakenError } from '../errors.ts';

/** A confirmed job: its id, or the id of the job that stands for it. */
export type Confirmed = Exclude<Added, { error: unknown }>;

const chunkSize = 500;

/** Refuses a job whose id stands for one of another task than `names`: its result would be taken for this task's. */
function refuseTaken(job: JobToAdd, added: Added, names: readonly string[]): Added {
  if ('error' in added || added.task === undefined || names.includes(added.task)) return added;
  return { error: new JobIdTakenError(job, added.task, 'Nothing was enqueued.') };
}

/**
 * Sends jobs of one task in chunks of 500, and stops at the first chunk that Redis did not confirm as a whole. Throws an
 * `EnqueueError` then, or what Redis said where a single job was not sent or was refused.
 */
export async function sendChunks(
  jobs: readonly JobToAdd[],
  broker: ProducerBroker,
  { timeoutMs, names }: { timeoutMs: number; names: readonly string[] },
): Promise<Confirmed[]> {
  const deadline = Date.now() + timeoutMs;
  const confirmed: Confirmed[] = [];
  for (let start = 0; start < jobs.length; start += chunkSize) {
    const chunk = jobs.length <= chunkSize ? jobs : jobs.slice(start, start + chunkSize);
    const fail = (added: readonly Added[], cause: unknown) => notConfirmed({ jobs, start, added, cause }, broker);
    await broker.ready().catch((error) => {
      throw fail([], error);
    });
    const limitMs = chunk === jobs ? Math.max(1, deadline - Date.now()) : 5 * timeoutMs;
    const replies = await broker.add(chunk, limitMs);
    const added = replies.map((reply, index) => refuseTaken(chunk[index] as JobToAdd, reply, names));
    for (const [index, one] of added.entries()) {
      if ('error' in one) throw fail(added, one.error);
      confirmed[start + index] = one;
    }
  }
  return confirmed;
}

const idsOf = (jobs: readonly JobToAdd[]) => jobs.map(({ id }) => id);

/** What became of the jobs of a chunk that was not confirmed as a whole; `added` is empty when it was not sent. */
interface Failed {
  jobs: readonly JobToAdd[];
  start: number;
  added: readonly Added[];
  cause: unknown;
}

/** Says of all jobs where they are. Only what Redis gave no answer to may be in. */
function notConfirmed({ jobs, start, added, cause }: Failed, broker: ProducerBroker): Error {
  const chunk = jobs.slice(start, start + added.length);
  const fates = added.map((one) => ('id' in one ? 'in' : broker.mayBeDone(one.error) ? 'uncertain' : 'refused'));
  const of = (fate: string) => idsOf(chunk.filter((_, index) => fates[index] === fate));
  const accepted = [...idsOf(jobs.slice(0, start)), ...of('in')];
  const [refused, uncertain, notSent] = [of('refused'), of('uncertain'), idsOf(jobs.slice(start + chunk.length))];
  const doubt = added[fates.indexOf('uncertain')];
  const known = broker.explain(doubt && 'error' in doubt ? doubt.error : cause);
  const isSingle = jobs.length === 1;
  if (isSingle && !doubt) return known;
  const counts = `${accepted.length} are in, ${refused.length} were refused, ${uncertain.length} may be in, ${notSent.length} were not sent`;
  const seen = isSingle
    ? `Job "${jobs[0]?.id}" may be in queue: Redis did not answer (${known.message})`
    : `Of ${jobs.length} jobs, ${counts}: ${known.message}`;
  const code = doubt ? 'E_ENQUEUE_UNCERTAIN' : known.code;
  const by = jobs.some(({ dedupe }) => dedupe) ? 'dedupe key' : 'id';
  const advice = isSingle
    ? `Enqueue it again with the same ${by}: it is not made twice.`
    : `Enqueue the rest again with the same ${by}s: none is made twice.`;
  const fate = { accepted, refused, uncertain, notSent };
  return new EnqueueError(code, `${seen} ${advice}`, fate, { cause: known.cause ?? known });
}
