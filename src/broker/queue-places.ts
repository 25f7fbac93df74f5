import type { Redis } from 'ioredis';
import { IsletError } from '../errors.ts';
import { jobFields, keyNames } from './bullmq-names.ts';
import { placeOf, type QueuePlace, type QueueRef, queueKey, queuesKey, servedKey } from './keys.ts';
import { execAll, execEach } from './lua.ts';

// The set of all queues that an app ever used has the name of each queue of Islet's own, and a place as JSON for each that
// is an existing queue of BullMQ's.

/** Names a place as people see it in Redis: the start of the queue's keys. */
export const showPlace = ({ prefix, name }: Pick<QueuePlace, 'name' | 'prefix'>) => `${prefix}:${name}`;

export const isOwn = ({ queue, app, name, prefix }: QueuePlace) => prefix === app && name === `{${queue}}`;

/** Returns what a manifest would say of a queue in this place. */
export function refOf(place: QueuePlace): QueueRef {
  const { queue, name, prefix } = place;
  return isOwn(place) ? { name: queue } : { name: queue, bullmq: { name, prefix } };
}

export function memberOf(place: QueuePlace): string {
  const { queue, name, prefix } = place;
  return isOwn(place) ? queue : JSON.stringify({ queue, name, prefix });
}

/** Reads a member of the set; what somebody else has added is no place. */
function parseMember(member: string, app: string): QueuePlace[] {
  if (!member.startsWith('{')) return [placeOf({ name: member }, app)];
  try {
    const { queue, name, prefix } = JSON.parse(member) as Record<string, unknown>;
    const isPlace = [queue, name, prefix].every((part) => typeof part === 'string');
    return isPlace ? [placeOf({ name: `${queue}`, bullmq: { name: `${name}`, prefix: `${prefix}` } }, app)] : [];
  } catch {
    return [];
  }
}

/** Reads where the queues are that an app ever used. */
export async function readPlaces(client: Redis, app: string): Promise<QueuePlace[]> {
  const members = await client.smembers(queuesKey(app));
  return members.flatMap((member) => parseMember(member, app));
}

/** Returns the other places that a queue of this name was ever used in. */
export function othersOf(place: QueuePlace, known: readonly QueuePlace[]): QueuePlace[] {
  return known.filter((other) => other.queue === place.queue && showPlace(other) !== showPlace(place));
}

/** Adds a queue to the set of all queues, and returns the other places that the same queue is used in. */
export async function registerPlace(client: Redis, place: QueuePlace): Promise<QueuePlace[]> {
  const [, known] = await Promise.all([
    client.sadd(queuesKey(place.app), memberOf(place)),
    readPlaces(client, place.app),
  ]);
  return othersOf(place, known);
}

/** Remembers that a worker serves a place, where producers alone may have been before. */
export async function claimPlace(client: Redis, place: QueuePlace): Promise<void> {
  await Promise.all([registerPlace(client, place), client.sadd(servedKey(place.app), memberOf(place))]);
}

/** Reads which places of an app its workers have served; returns a test for one. */
export async function readServed(client: Redis, app: string): Promise<(place: QueuePlace) => boolean> {
  const members = new Set(await client.smembers(servedKey(app)));
  return (place) => members.has(memberOf(place));
}

export async function forgetPlace(client: Redis, place: QueuePlace): Promise<void> {
  const member = memberOf(place);
  await Promise.all([queuesKey, servedKey].map((key) => client.srem(key(place.app), member)));
}

/** Says that processes disagree about where a queue is. */
export function tellDifference(place: QueuePlace, other: QueuePlace): string {
  const seen = `Queue "${place.queue}" is "${showPlace(place)}" in this process, and "${showPlace(other)}" in another one.`;
  const so = 'Neither sees the jobs of the other.';
  return `${seen} ${so} Deploy the same queues/${place.queue}/manifest.ts to all producers and workers.`;
}

/** Finds the queue of a name among those that an app ever used. Throws `E_OPTIONS_INVALID` where it has several places. */
export function choosePlace(known: readonly QueuePlace[], app: string, name: string): QueuePlace {
  const places = known.filter(({ queue }) => queue === name);
  const [place = placeOf({ name }, app), ...others] = places;
  if (others.length === 0) return place;
  const seen = `Queue "${name}" is in several places: ${places.map((each) => `"${showPlace(each)}"`).join(', ')}.`;
  throw new IsletError('E_OPTIONS_INVALID', `${seen} Give its manifest instead of its name.`);
}

/** Asks Redis for the queue of a name. Throws `E_OPTIONS_INVALID` where it has several places. */
export async function resolvePlace(client: Redis, app: string, name: string): Promise<QueuePlace> {
  return choosePlace(await readPlaces(client, app), app, name);
}

/** Looks for a job's hash in all queues that were ever used. */
export async function findQueues(client: Redis, app: string, id: string): Promise<QueueRef[]> {
  const places = await readPlaces(client, app);
  const pipeline = client.pipeline();
  for (const place of places) pipeline.hexists(queueKey(place, id), jobFields.timestamp);
  const found = await execEach(pipeline);
  return places.filter((_, index) => found[index] === 1).map(refOf);
}

/** How many jobs of a queue have not ended, and how many have failed. */
export async function countJobs(client: Redis, place: QueuePlace): Promise<{ left: number; failed: number }> {
  const { wait, paused, active, prioritized, delayed, waitingChildren, failed } = keyNames;
  const key = (name: string) => queueKey(place, name);
  const pipeline = client.pipeline().llen(key(wait)).llen(key(paused)).llen(key(active));
  for (const name of [prioritized, delayed, waitingChildren, failed]) pipeline.zcard(key(name));
  const counts = (await execAll(pipeline)) as number[];
  const left = counts.slice(0, -1).reduce((sum, count) => sum + count, 0);
  return { left, failed: counts.at(-1) ?? 0 };
}

/** How many jobs of a queue have ended so, and how many of them before a time, in milliseconds since 1970. */
export async function countEnded(client: Redis, place: QueuePlace, state: 'completed' | 'failed', before: number) {
  const key = queueKey(place, keyNames[state]);
  const [all, old] = (await execAll(client.pipeline().zcard(key).zcount(key, 0, before))) as [number, number];
  return { all, old };
}

/** Tells whether Redis has a queue at all: BullMQ's own Queue and any job leave one of these keys. */
export async function isThere(client: Redis, place: QueuePlace): Promise<boolean> {
  const keys = [keyNames.meta, 'id', ...Object.values(keyNames)].map((name) => queueKey(place, name));
  return (await client.exists(...keys)) > 0;
}
