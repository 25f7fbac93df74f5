import type { NewJob } from '../broker/broker.ts';
import { checks, checkValue } from '../manifest/check-options.ts';
import type { AnyTask } from '../manifest/define-task.ts';
import type { JobMeta } from '../manifest/meta.ts';
import { parsePayload } from '../manifest/parse-payload.ts';
import { toJson } from '../manifest/to-json.ts';
import { checkEnqueueOptions, type EnqueueOptions } from './enqueue-options.ts';
import { createJobId } from './job-id.ts';

const dayMs = 86_400_000;
/** How long an enqueue whose answer was lost may be repeated, at the cost of one small key per job. */
const repeatWindowMs = 300_000;

/** Writes a payload as it travels. Throws `E_PAYLOAD_INVALID` when JSON cannot carry it, or it is too large. */
export function writePayload(manifest: AnyTask, payload: unknown): string {
  const owner = `The payload of task "${manifest.name}" (queue "${manifest.queue}")`;
  return toJson(payload, owner, 'E_PAYLOAD_INVALID', manifest.maxPayloadBytes);
}

/** Checks everything that can be checked before Redis is asked. Throws, and then nothing was enqueued. */
export async function prepareJob(
  manifest: AnyTask,
  payload: unknown,
  options: EnqueueOptions = {},
  meta?: JobMeta,
): Promise<NewJob> {
  checkValue('The first argument of enqueue', manifest, checks.task, 'E_TASK_UNKNOWN');
  checkEnqueueOptions(manifest, options);
  const json = writePayload(manifest, payload);
  const parsed = parsePayload(manifest, JSON.parse(json));
  if (parsed instanceof Promise) await parsed;
  const { id, delayMs, dedupe, idempotencyMs = id === undefined ? repeatWindowMs : dayMs } = options;
  return {
    task: manifest.name,
    queue: manifest.queue,
    bullmq: manifest.bullmq,
    retries: manifest.bullmq && { attempts: manifest.attempts, backoff: manifest.backoff },
    id: id ?? createJobId(),
    payloadJson: json,
    version: manifest.version,
    delayMs,
    priority: options.priority ?? manifest.priority,
    keepResultMs: options.keepResultMs ?? manifest.keepResultMs,
    // A task hands on the meta of its job, which may be empty.
    meta: meta && Object.keys(meta).length > 0 ? meta : undefined,
    // A dedupe key stands for the job in place of the id.
    idempotencyMs: dedupe ? undefined : idempotencyMs,
    dedupe,
  };
}
