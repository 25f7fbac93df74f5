import { IsletError } from '../errors.ts';
import { mappedDefaults, unlimited } from '../manifest/defaults.ts';
import { placeOf, type QueuePlace } from './keys.ts';
import type { QueueHandle } from './queue-handle.ts';
import {
  countEnded,
  countJobs,
  forgetPlace,
  isOwn,
  isThere,
  othersOf,
  readPlaces,
  readServed,
  showPlace,
  tellDifference,
} from './queue-places.ts';
import { listLiving, type WorkerRecord } from './worker-records.ts';
import type { WorkerScope } from './worker-scope.ts';

/**
 * Makes sure that a worker may serve its queue where that is in Redis, and returns what its operator should know. Throws
 * `E_QUEUE_MOVED` while jobs are left where the queue was before, and `E_QUEUE_TAKEN` while another app serves it.
 */
export async function checkPlace(scope: WorkerScope): Promise<string[]> {
  const { client, place } = scope.queue;
  refuseTaken(place, await listLiving(scope));
  const [known, isServed] = await Promise.all([readPlaces(client, place.app), readServed(client, place.app)]);
  // Before a queue moves, producers may send to the new place, while workers of the earlier manifest start and stop.
  const isNext = (other: QueuePlace) => isServed(place) && !isServed(other);
  const told = othersOf(place, known).map((other) =>
    isNext(other) ? tellDifference(place, other) : leave(scope.queue, other),
  );
  return [...(await Promise.all(told)), ...(await hint(scope))];
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
  const { left: count, failed } = await countJobs(client, old);
  const seen = `Queue "${place.queue}" was "${showPlace(old)}" in Redis and is "${showPlace(place)}" now.`;
  if (count > 0) {
    const jobs = count === 1 ? '1 job is' : `${count} jobs are`;
    const advice =
      'Let producers send to the new place, and run workers with the earlier manifest until these jobs are done.';
    const schedulers = 'A job scheduler always has a job that waits: remove it from the old place.';
    const left = `${jobs} left in the old place, where no worker would run ${count === 1 ? 'it' : 'them'}.`;
    throw new IsletError('E_QUEUE_MOVED', `${seen} ${left} ${advice} ${schedulers}`);
  }
  await forgetPlace(client, old);
  const failures = failed === 1 ? '1 failed job is' : `${failed} failed jobs are`;
  const rest = failed === 0 ? '' : ` ${failures} still there, where BullMQ's tools can read and remove them.`;
  return `${seen} No job waits in the old place any more.${rest}`;
}

/** Tells of a mapping that may be missing or mistyped, and of ended jobs that the queue's retention will remove. */
async function hint(scope: WorkerScope): Promise<string[]> {
  const { client, place } = scope.queue;
  const hasJobs = async (each: QueuePlace) => (await countJobs(client, each)).left > 0;
  try {
    const { queue, app } = place;
    if (!isOwn(place)) return (await isThere(client, place)) ? tellExcess(scope) : [notThere(place)];
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
  return `${seen} If it should be there, check the case, the braces and the prefix of \`bullmq\` in queues/${place.queue}/manifest.ts.`;
}

/** Tells which jobs of a plain worker, which keeps all that end, are more than the retention of the queue allows. */
async function tellExcess({ queue, options }: WorkerScope): Promise<string[]> {
  const { client, place, clock } = queue;
  const { completedCount, completedForMs, failedCount, failedForMs } = options.queue.retention;
  const limits = [
    { state: 'completed', option: 'completedCount', count: completedCount, forMs: completedForMs },
    { state: 'failed', option: 'failedCount', count: failedCount, forMs: failedForMs },
  ] as const;
  const notices: string[] = [];
  for (const { state, option, count, forMs } of limits) {
    // A job that is not kept itself removes no other.
    if (count === 0 || (count === unlimited && forMs === unlimited)) continue;
    const { all, old } = await countEnded(client, place, state, Math.max(0, clock.now() - forMs));
    const excess = Math.max(all - count, old);
    if (excess <= 0) continue;
    const seen = `Queue "${place.queue}" has ${all} ${state} jobs, and its \`retention\` removes ${excess} of them`;
    const advice = `To keep them, raise \`${option}\` and \`${option.replace('Count', 'ForMs')}\` in queues/${place.queue}/manifest.ts`;
    const many =
      'To remove many, use `queue.clean()` of plain BullMQ first: Redis does nothing else while it removes them.';
    notices.push(`${seen} when the next job ends so. ${advice}. ${many}`);
  }
  return notices;
}

function mapIt({ queue, ...place }: QueuePlace, { name, prefix }: QueuePlace): string {
  const seen = `Queue "${queue}" has no jobs, but the BullMQ queue "${prefix}:${name}" has some.`;
  const line = `bullmq: { name: '${name}', prefix: '${prefix}' }`;
  return `${seen} This worker serves "${showPlace(place)}". To serve those jobs, write into queues/${queue}/manifest.ts: ${line}`;
}
