import type { NewJob } from '../broker/broker.ts';
import { IsletError } from '../errors.ts';
import { checkOptions, checks, describe } from '../manifest/check-options.ts';
import type { AnyTask } from '../manifest/define-task.ts';
import { parsePayload } from '../manifest/parse-payload.ts';
import { toJson } from '../manifest/to-json.ts';
import { createJobId } from './job-id.ts';

export interface EnqueueOptions {
  /** Milliseconds before the job may start. Default: 0. */
  delayMs?: number;
  /** 1 (first) to 2_097_151; only for tasks whose manifest has a `priority`. Default: the manifest's. */
  priority?: number;
  /** An id of your own, without ':' and not an integer. A second job of that id is not made. Default: a new UUIDv7. */
  id?: string;
  /** The id stands for this job so many milliseconds, also after it is done. Default: 86_400_000 (1 day) with `id`, else 300_000 (5 minutes), so that an uncertain enqueue may be repeated. */
  idempotencyMs?: number;
  /** Keep the result so many milliseconds after the end, for `handle.result()`. Default: the manifest's. */
  keepResultMs?: number;
}

const dayMs = 86_400_000;
/** Long enough to repeat an enqueue whose answer was lost; one small key per job for so long. */
const repeatWindowMs = 300_000;

const isId = (value: unknown) =>
  typeof value === 'string' && /^[^:\s]{1,200}$/.test(value) && !/^-?\d+$/.test(value)
    ? undefined
    : "a text of 1 to 200 characters without ':' and white space that is not an integer";

const optionChecks = {
  delayMs: checks.integer(0),
  priority: checks.integer(1, 2_097_151),
  id: isId,
  idempotencyMs: checks.integer(1),
  keepResultMs: checks.integer(1),
};

function checkEnqueueOptions(manifest: AnyTask, options: EnqueueOptions): void {
  try {
    checkOptions('The options of enqueue', options, [], optionChecks);
  } catch (error) {
    const message = `${(error as Error).message} Nothing was enqueued for task "${manifest.name}".`;
    throw new IsletError('E_ENQUEUE_OPTIONS_INVALID', message);
  }
  if (options.priority === undefined || manifest.priority !== undefined) return;
  throw new IsletError(
    'E_ENQUEUE_OPTIONS_INVALID',
    `Task "${manifest.name}" has no priority, got priority ${options.priority}: its jobs would be starved by those ` +
      `without one. Nothing was enqueued. Give every task of queue "${manifest.queue}" a \`priority\`, or drop it here.`,
  );
}

/** Checks everything that can be checked before Redis is asked. Throws, and then nothing was enqueued. */
export async function prepareJob(manifest: AnyTask, payload: unknown, options: EnqueueOptions = {}): Promise<NewJob> {
  if (manifest?.kind !== 'task') {
    throw new IsletError('E_TASK_UNKNOWN', `enqueue expects a task's manifest, got ${describe(manifest)}.`);
  }
  checkEnqueueOptions(manifest, options);
  const owner = `The payload of task "${manifest.name}" (queue "${manifest.queue}")`;
  const json = toJson(payload, owner, 'E_PAYLOAD_INVALID', manifest.maxPayloadBytes);
  await parsePayload(manifest, JSON.parse(json));
  return {
    task: manifest.name,
    queue: manifest.queue,
    id: options.id ?? createJobId(),
    payload: JSON.parse(json),
    version: manifest.version,
    delayMs: options.delayMs,
    priority: options.priority ?? manifest.priority,
    keepResultMs: options.keepResultMs ?? manifest.keepResultMs,
    idempotencyMs: options.idempotencyMs ?? (options.id === undefined ? repeatWindowMs : dayMs),
  };
}
