import { IsletError } from '../errors.ts';
import { mappedDefaults } from '../manifest/defaults.ts';
import { placeOf, type QueuePlace } from './keys.ts';
import type { QueueHandle } from './queue-handle.ts';
import { countJobs, forgetPlace, isThere, othersOf, readPlaces, showPlace } from './queue-places.ts';
import { listLiving, type WorkerRecord } from './worker-records.ts';
import type { WorkerScope } from './worker-scope.ts';

/**
 * Makes sure that a worker may serve its queue where that is in Redis, and returns what its operator should know. Throws
 * `E_QUEUE_MOVED` while jobs are left where the queue was before, and `E_QUEUE_TAKEN` while another app serves it.
 */
export async function checkPlace(scope: WorkerScope): Promise<string[]> {
  const { client, place } = scope.queue;
  refuseTaken(place, await listLiving(scope));
  const moved = await Promise.all(
    othersOf(place, await readPlaces(client, place.app)).map((other) => leave(scope.queue, other)),
  );
  return [...moved, ...(await hint(scope.queue))];
}

function refuseTaken(place: QueuePlace, living: readonly WorkerRecord[]): void {
  const { queue, app } = place;
  const other = living.find((worker) => worker.queue !== undefined && (worker.queue !== queue || worker.app !== app));
  if (!other) return;
  const whose = `queue "${other.queue}" of the app with the prefix "${other.app}"`;
  const seen = `Queue "${queue}" is "${showPlace(place)}" in Redis, and so is ${whose}, whose workers run (host ${other.host}, process ${other.pid}).`;
  const advice =
    'Each would take jobs whose tasks it does not know. Nothing was taken. Stop those workers, or map one of the two elsewhere.';
  throw new IsletError('E_QUEUE_TAKEN', `${seen} ${advice}`);
}

/** Leaves a place behind in which the queue was before. Throws `E_QUEUE_MOVED` while jobs wait there. */
async function leave({ client, place }: QueueHandle, old: QueuePlace): Promise<string> {
  const { left, failed } = await countJobs(client, old);
  const seen = `Queue "${place.queue}" was "${showPlace(old)}" in Redis and is "${showPlace(place)}" now.`;
  if (left > 0) {
    const jobs = left === 1 ? '1 job is' : `${left} jobs are`;
    const advice =
      'Run workers with the earlier manifest until these jobs are done, and let producers send to the new place already.';
    throw new IsletError('E_QUEUE_MOVED', `${seen} ${jobs} left in the old place, which nobody would run. ${advice}`);
  }
  await forgetPlace(client, old);
  const rest =
    failed === 0 ? '' : ` Its ${failed} failed jobs are still there, where plain tools of BullMQ can retry them.`;
  return `${seen} No job waits in the old place any more.${rest}`;
}

/** Says of a queue without jobs that it may have been meant to be another one. */
async function hint({ client, place }: QueueHandle): Promise<string[]> {
  const hasJobs = async (each: QueuePlace) => (await countJobs(client, each)).left > 0;
  try {
    const { queue, app, name, prefix } = place;
    const isMapped = prefix !== app || name !== `{${queue}}`;
    if (isMapped) return (await isThere(client, place)) ? [] : [notThere(place)];
    if (await hasJobs(place)) return [];
    const plain = [
      { name: queue, prefix: mappedDefaults.prefix },
      { name: `{${queue}}`, prefix: mappedDefaults.prefix },
      { name: queue, prefix: app },
    ].map((bullmq) => placeOf({ name: queue, bullmq }, app));
    const notices: string[] = [];
    for (const each of plain) if (await hasJobs(each)) notices.push(mapIt(place, each));
    return notices;
  } catch {
    // A Redis user may be allowed to see the keys of the app alone.
    return [];
  }
}

function notThere(place: QueuePlace): string {
  const seen = `Queue "${place.queue}" is mapped to "${showPlace(place)}", which is not in Redis yet.`;
  return `${seen} If it should be, check the case, the braces and the prefix of \`bullmq\` in queues/${place.queue}/manifest.ts.`;
}

function mapIt({ queue, ...place }: QueuePlace, { name, prefix }: QueuePlace): string {
  const seen = `Queue "${queue}" has no job, but "${prefix}:${name}" has, which plain BullMQ has made.`;
  const line = `bullmq: { name: '${name}', prefix: '${prefix}' }`;
  return `${seen} This worker serves "${showPlace(place)}". To serve those jobs, write into queues/${queue}/manifest.ts: ${line}`;
}
