import type { Delivery, Failure, Outcome } from '../broker/broker.ts';
import { hidePasswords, IsletError, LockLostError, PermanentError, ReleasedError } from '../errors.ts';
import type { AnyTask } from '../manifest/define-task.ts';
import { toJson } from '../manifest/to-json.ts';

/** Trying again cannot mend these. */
const permanentCodes = new Set(['E_PAYLOAD_INVALID', 'E_RESULT_INVALID', 'E_TASK_UNKNOWN']);

/** A value as it may stand in a message: bare, inside JSON, inside a URL. */
function spellings(text: string): string[] {
  return [text, JSON.stringify(text).slice(1, -1), encodeURIComponent(text)];
}

/** Collects every text and number below the redacted fields, longest first, so that none stays half. */
function redactedValues(manifest: AnyTask | undefined, input: unknown): string[] {
  const values: string[] = [];
  const collect = (value: unknown) => {
    if (typeof value === 'object' && value !== null) for (const item of Object.values(value)) collect(item);
    else if (value !== null && value !== undefined && typeof value !== 'boolean' && value !== '')
      values.push(...spellings(String(value)));
  };
  for (const field of manifest?.redact ?? []) collect((input as Record<string, unknown> | null)?.[field]);
  return values.sort((a, b) => b.length - a.length);
}

/** Anything can be thrown, also what has no text. */
function asText(value: unknown): string {
  try {
    return String(value);
  } catch {
    return `a thrown ${typeof value}`;
  }
}

/** What a thrown value says of itself, without redacted values and passwords. */
export function toFailure(error: unknown, manifest: AnyTask | undefined, input: unknown): Failure {
  const secrets = redactedValues(manifest, input);
  const clean = (text: string) =>
    secrets.reduce((kept, secret) => kept.replaceAll(secret, '[redacted]'), hidePasswords(text));
  const thrown = error instanceof Error ? error : new Error(asText(error));
  return {
    code: error instanceof IsletError ? error.code : 'E_TASK_FAILED',
    causeName: asText(thrown.name),
    causeMessage: clean(asText(thrown.message)).slice(0, 4_000),
    stack: clean(asText(thrown.stack ?? '')).slice(0, 8_000),
  };
}

/** Milliseconds before the attempt that follows `attempt`. */
export function backoffMs({ backoff }: Pick<AnyTask, 'backoff'>, attempt: number, random = Math.random()): number {
  const { type, delayMs, maxDelayMs, jitter } = backoff;
  const whole = Math.min(maxDelayMs, type === 'fixed' ? delayMs : delayMs * 2 ** (attempt - 1));
  return Math.round(whole * (1 - jitter * random));
}

/** The outcome of a delivery whose task returned. */
export function completed(delivery: Delivery, manifest: AnyTask, result: unknown): Outcome {
  const keepResultMs = delivery.keepResultMs ?? manifest.keepResultMs;
  if (result === undefined) return { kind: 'completed', resultJson: undefined, keepResultMs };
  const owner = `The result of task "${manifest.name}"`;
  return {
    kind: 'completed',
    resultJson: toJson(result, owner, 'E_RESULT_INVALID', manifest.maxResultBytes),
    keepResultMs,
  };
}

/** The outcome of a delivery whose task threw, or could not be run. */
export function classify(delivery: Delivery, manifest: AnyTask | undefined, error: unknown): Outcome {
  const reason = delivery.abort.signal.reason;
  if (reason instanceof LockLostError) return { kind: 'lost' };
  if (reason instanceof ReleasedError) return { kind: 'released' };
  const failure = toFailure(error, manifest, delivery.input);
  const permanent =
    !manifest || error instanceof PermanentError || (error instanceof IsletError && permanentCodes.has(error.code));
  if (permanent || delivery.attempt >= manifest.attempts) {
    return { kind: 'failed', failure, keepResultMs: delivery.keepResultMs ?? manifest?.keepResultMs };
  }
  return { kind: 'retry', failure, delayMs: backoffMs(manifest, delivery.attempt) };
}
