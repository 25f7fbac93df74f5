import type { Added, JobToAdd, ProducerBroker } from '../broker/broker.ts';
import { EnqueueError, type IsletError } from '../errors.ts';

/** A confirmed job: its id, or the id of the job that stands for it. */
export type Confirmed = Exclude<Added, { error: unknown }>;

const chunkSize = 500;

/**
 * Sends jobs in chunks of 500, and stops at the first chunk that Redis did not confirm as a whole. Throws an
 * `EnqueueError` then, or what Redis said where a single job was not sent or was refused.
 */
export async function sendChunks(
  jobs: readonly JobToAdd[],
  broker: ProducerBroker,
  timeoutMs: number,
): Promise<Confirmed[]> {
  const deadline = Date.now() + timeoutMs;
  const confirmed: Confirmed[] = [];
  for (let start = 0; start < jobs.length; start += chunkSize) {
    const chunk = jobs.length <= chunkSize ? jobs : jobs.slice(start, start + chunkSize);
    const fail = (added: readonly Added[], cause: unknown) => notConfirmed(jobs, start, added, broker.explain(cause));
    await broker.ready().catch((error) => {
      throw fail([], error);
    });
    const limitMs = chunk === jobs ? Math.max(1, deadline - Date.now()) : 5 * timeoutMs;
    // An error that concerns a whole chunk concerns each of its jobs.
    const added = await broker.add(chunk, limitMs).catch((error) => chunk.map(() => ({ error })));
    for (const [index, one] of added.entries()) {
      if ('error' in one) throw fail(added, one.error);
      confirmed[start + index] = one;
    }
  }
  return confirmed;
}

const idsOf = (jobs: readonly JobToAdd[]) => jobs.map(({ id }) => id);

/** Says of all jobs where they are when one of a chunk was not confirmed; `added` is empty when the chunk was not sent. */
function notConfirmed(jobs: readonly JobToAdd[], start: number, added: readonly Added[], known: IsletError): Error {
  const chunk = jobs.slice(start, start + added.length);
  const isIn = (index: number) => 'id' in (added[index] ?? {});
  const accepted = idsOf([...jobs.slice(0, start), ...chunk.filter((_, index) => isIn(index))]);
  const uncertain = idsOf(chunk.filter((_, index) => !isIn(index)));
  const notSent = idsOf(jobs.slice(start + chunk.length));
  const isLost = known.code === 'E_REDIS_UNREACHABLE' && uncertain.length > 0;
  if (jobs.length === 1 && !isLost) return known;
  const counts = `${accepted.length} are in, ${uncertain.length} may be, ${notSent.length} were not sent`;
  const seen =
    jobs.length === 1
      ? `Job "${jobs[0]?.id}" may be in queue: Redis did not answer (${known.message})`
      : `Of ${jobs.length} jobs, ${counts}: ${known.message}`;
  const code = isLost ? 'E_ENQUEUE_UNCERTAIN' : known.code;
  const by = jobs.some(({ dedupe }) => dedupe) ? 'dedupe key' : 'id';
  const advice =
    jobs.length === 1
      ? `Enqueue it again with the same ${by}: it is not made twice.`
      : `Enqueue the rest again with the same ${by}s: none is made twice.`;
  return new EnqueueError(code, `${seen} ${advice}`, { accepted, uncertain, notSent }, { cause: known.cause ?? known });
}
