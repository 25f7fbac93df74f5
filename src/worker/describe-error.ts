import { types } from 'node:util';
import type { Failure } from '../broker/broker.ts';
import { type FailureCause, hidePasswords, IsletError } from '../errors.ts';
import { type RedactedJob, type Redacting, type Redaction, redactionOf } from '../manifest/redact.ts';
import { behind, messageOf, most, mostCauses, nameOf, read, stackOf, textOf, tryTo } from '../thrown.ts';

/** What the code of an error of Islet's looks like. */
const codePattern = /^E_[A-Z0-9_]{1,98}$/;

/** Cuts a text, and hides what must not be told, also where the cut has left half of it. */
function clean(text: string, length: number, redaction: Redaction | undefined): string {
  const wasCut = text.length >= length;
  const whole = wasCut ? text.slice(0, length).replace(/:\/\/\S*$/, '://***') : text;
  return hidePasswords(redaction?.text(whole, wasCut) ?? whole).slice(0, length);
}

/** Writes a text within bounds, without what must not be told; `redaction` is for what has to be written as JSON. */
type Cleaner = { (text: string, length: number): string; redaction: Redaction | undefined };

/** Tells the code and the detail of an error, as those of systems, databases and HTTP clients have. */
function readDetails(thrown: unknown, cleaned: Cleaner) {
  const [code, detail] = [read(thrown, 'code'), read(thrown, 'detail')];
  const isCode = (typeof code === 'string' && code !== '') || typeof code === 'number';
  return {
    ...(isCode ? { code: cleaned(textOf(code, most.code), most.code) } : {}),
    ...(detail === undefined || detail === null
      ? {}
      : { detail: cleaned(textOf(detail, most.detail, cleaned.redaction), most.detail) }),
  };
}

/** Returns what stands behind an error, the nearest first; a circle ends. */
function readCauses(thrown: unknown, cleaned: Cleaner): FailureCause[] {
  const left = behind(thrown);
  const seen = new Set([thrown]);
  const causes: FailureCause[] = [];
  while (left.length > 0 && causes.length < mostCauses) {
    const cause = left.shift();
    if (seen.has(cause)) continue;
    seen.add(cause);
    const message = cleaned(messageOf(cause, most.detail, cleaned.redaction), most.detail);
    causes.push({
      name: cleaned(nameOf(cause, cleaned.redaction), most.name),
      message,
      ...readDetails(cause, cleaned),
    });
    if (typeof cause === 'object') left.unshift(...behind(cause));
  }
  return causes;
}

function describe(thrown: unknown, redaction: Redaction | undefined): Failure {
  const cleaned: Cleaner = Object.assign((text: string, length: number) => clean(text, length, redaction), {
    redaction,
  });
  const code = thrown instanceof IsletError ? read(thrown, 'code') : undefined;
  const details = readDetails(thrown, cleaned);
  const causes = readCauses(thrown, cleaned);
  return {
    // The task may have changed it, into anything.
    code: typeof code === 'string' && codePattern.test(code) ? cleaned(code, most.code) : 'E_TASK_FAILED',
    causeName: cleaned(nameOf(thrown, redaction), most.name),
    causeMessage: cleaned(messageOf(thrown, most.message, redaction), most.message),
    ...(details.code === undefined || code !== undefined ? {} : { causeCode: details.code }),
    ...(details.detail === undefined ? {} : { causeDetail: details.detail }),
    ...(causes.length > 0 ? { causes } : {}),
    stack: cleaned(stackOf(thrown, most.stack, redaction), most.stack),
  };
}

/** Hears how a promise ends that was thrown: its rejection would be taken for one that escaped. */
export function hearThrown(thrown: unknown): void {
  if (types.isPromise(thrown)) tryTo(() => Promise.prototype.then.call(thrown, undefined, () => {}));
}

/** A job of which only the names of what it redacts are known. */
const unknownJob: RedactedJob = { input: undefined };

/** Returns what a thrown value says of itself, without redacted values and passwords. Never throws. */
export function toFailure(thrown: unknown, manifest?: Redacting, job: RedactedJob = unknownJob): Failure {
  hearThrown(thrown);
  const said = tryTo(() => describe(thrown, redactionOf(manifest, job)));
  const unknown = { code: 'E_TASK_FAILED', causeName: 'Error', stack: '' };
  return said ?? { ...unknown, causeMessage: 'what was thrown cannot be described' };
}

/** Creates the error of an attempt that failed in Islet's own code. */
export function internalError(cause: unknown): IsletError {
  const seen = `Islet itself failed, and not the task: ${nameOf(cause)}: ${messageOf(cause)}`;
  const error = new IsletError('E_INTERNAL', `${seen}. Please report it, with the stack in the log.`);
  error.stack = stackOf(cause) || error.stack;
  return error;
}
