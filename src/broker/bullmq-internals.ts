import type { JobJson, JobProgress, MinimalJob, ParentKeys } from 'bullmq';
import type { Redis } from 'ioredis';
import { jobFields as field } from './bullmq-names.ts';
import type { Hole } from './command-template.ts';
import type { QueuePlace } from './keys.ts';
import { nothing, parseMemory, type StoredMemory } from './memory.ts';
import { forgottenFields, wasPutBack } from './put-back.ts';
import { findProblem, readJson, readOptions } from './read-stored.ts';

/** A fetched job, locked for the token of its fetch. BullMQ's loop can carry it, and a Job can be made of it. */
export interface FetchedJob extends Omit<JobJson, 'data' | 'returnvalue' | 'progress'> {
  readonly id: string;
  /** The job's payload; undefined when it is no JSON. */
  readonly data: unknown;
  readonly payloadJson: string;
  /** What the task has reported last, as JSON carries it. */
  progress: JobProgress | undefined;
  /** What of the stored job cannot be read, as somebody else may have written it. The other fields are safe to use. */
  readonly problem: string | undefined;
  /** When it was fetched, in milliseconds since 1970. */
  readonly processedOn: number;
  /** How often it was fetched, this time included. No two fetches share a number, so that this is a fence. */
  readonly attemptsStarted: number;
  readonly memory: StoredMemory;
  /** Somebody has put the job back after its end. What is forgotten by that is left out already. */
  readonly wasPutBack: boolean;
  readonly token: string;
  /** When its fetch was sent, by performance.now(). */
  readonly sentAt: number;
}

/**
 * The reply of a script that fetches a job. The hash has names and values in turn; the queue gives no job for `limitedMs`
 * milliseconds; `dueAt` says when the next delayed job is due, in milliseconds since 1970, or 0 without one.
 */
type RawFetch = [hash: string[] | 0 | null, id: string | 0, limitedMs: number, dueAt: number];

/** A RawFetch as it comes from Redis or out of BullMQ's own decoder. */
export type FetchReply = readonly unknown[];

const fetchingCommands = ['moveToActive', 'moveToFinished', 'moveToDelayed'];

/** Leads a reply past BullMQ's decoder, which takes apart only the first element, and leaves the second alone. */
export function passUndecoded(command: string, reply: unknown): unknown {
  return Array.isArray(reply) && fetchingCommands.includes(command) ? [null, reply] : reply;
}

export function decodeFetch(reply: FetchReply, token: string, sentAt: number) {
  const raw = Array.isArray(reply[1]) ? reply[1] : reply;
  const [hash, id, limitedMs, dueAt] = raw as unknown as Partial<RawFetch>;
  const job = hash ? decodeJob(hash, String(id), token, sentAt) : undefined;
  return { job, limitedMs: Number(limitedMs ?? 0), dueAt: Number(dueAt ?? 0) };
}

/** Reads a number that BullMQ counts, or 0 where something else stands there. */
const toNumber = (text: string | undefined) => Number(text ?? 0) || 0;

const ofField = (name: string, problem: string | undefined) => problem && `\`${name}\` cannot be read: ${problem}`;

function decodeJob(hash: readonly string[], id: string, token: string, sentAt: number): FetchedJob {
  const raw: Record<string, string | undefined> = {};
  for (let index = 0; index + 1 < hash.length; index += 2) raw[hash[index] ?? ''] = hash[index + 1];
  const isPutBack = wasPutBack(raw);
  if (isPutBack) for (const name of forgottenFields) raw[name] = undefined;
  const payloadJson = raw[field.payload] ?? '{}';
  const { value: opts, problem: wrongOptions } = readOptions(raw[field.options]);
  const { value: data, problem: wrongPayload } = readJson<unknown>(payloadJson, undefined);
  const memory = parseMemory(raw);
  const wrongField = findProblem(raw, memory);
  const problem = wrongField ?? ofField(field.options, wrongOptions) ?? ofField(field.payload, wrongPayload);
  return {
    id,
    token,
    sentAt,
    payloadJson,
    data,
    problem,
    wasPutBack: isPutBack,
    name: raw[field.name] ?? '',
    opts,
    progress: readJson<JobProgress | undefined>(raw[field.progress], undefined).value,
    delay: toNumber(raw[field.delay]),
    priority: toNumber(raw[field.priority]),
    timestamp: toNumber(raw[field.timestamp]),
    attemptsStarted: toNumber(raw[field.starts]),
    attemptsMade: toNumber(raw[field.attempts]),
    stalledCounter: toNumber(raw[field.stalls]),
    processedOn: toNumber(raw[field.startedAt]),
    // The job of a scheduler says how that goes on. Without this, it is like any other job.
    repeatJobKey: (opts as { repeat?: unknown }).repeat === undefined ? undefined : raw[field.scheduler],
    deduplicationId: raw[field.deduplicationId],
    failedReason: raw[field.failedReason] ?? '',
    deferredFailure: raw[field.deferredFailure],
    stacktrace: raw[field.stacktrace],
    parentKey: raw[field.parentKey],
    parent: readJson<ParentKeys | undefined>(raw[field.parent], undefined).value,
    processedBy: raw[field.worker],
    memory: wrongField === undefined ? memory : nothing,
  };
}

/** Names the connection on which a worker waits for jobs: BullMQ's `getWorkers` finds the workers by this name. */
export function workerClientName({ prefix, name }: Pick<QueuePlace, 'name' | 'prefix'>, pid: number): string {
  return `${prefix}:${Buffer.from(name).toString('base64')}:w:${pid}`;
}

/** Makes the part of a job that BullMQ's scripts read. They fail without `attempts`. */
export function toBullmq({ id, opts }: FetchedJob): MinimalJob {
  return { id, opts: { ...opts, attempts: opts.attempts ?? 0 } } as MinimalJob;
}

export interface BullmqScript {
  readonly sha: string;
  readonly lua: string;
  readonly numberOfKeys: number;
}

/** Returns a script of BullMQ's, with the hash by which Redis knows it, once BullMQ has defined it on a client. */
export function findScript(client: Redis, command: string): BullmqScript | undefined {
  return (client.scriptsSet as Record<string, BullmqScript | undefined>)[command];
}

/** The scripts that add a job take so many arguments behind their keys: id and more, payload, options. */
export const addArgumentCount = 3;

/** Where these scripts take the time, counted from their first key. */
export const timeArguments: Readonly<Record<string, number>> = { moveToActive: 12, moveToFinished: 15 };

/** How many keys the script moveToFinished takes. */
export const finishKeyCount = 14;

/** Names what differs from job to job in the EVALSHA of moveToFinished: key, id, time, and the token in the options. */
export function finishHoles(token: string): Hole[] {
  return [{ argument: 13 }, { argument: 16 }, { argument: 17 }, { argument: 23, text: token }];
}
