import * as errors from '../../errors.ts';
import type { Redaction } from '../../manifest/redact.ts';
import { behind, isError, messageOf, nameOf, read, stackOf, textOf, tryTo } from '../../thrown.ts';
import { hearThrown } from '../describe-error.ts';

export type CarriedError =
  | {
      readonly kind: 'error';
      /** The name of a class that both sides know. Of an error of another class, only its name arrives. */
      readonly known: string | undefined;
      readonly name: string;
      readonly message: string;
      readonly stack: string;
      readonly fields: object;
      /** What the error consists of, and its cause as the last one where it has one. */
      readonly behind: readonly CarriedError[];
      readonly hasCause: boolean;
    }
  | { readonly kind: 'value'; readonly value: unknown };

const { hidePasswords: _, tellCause: __, tellFailure: ___, ...isletErrors } = errors;
const known: Record<string, { readonly prototype: Error }> = {
  ...isletErrors,
  ...{ TypeError, RangeError, SyntaxError, ReferenceError, URIError, EvalError },
};

/** How many errors behind an error are carried: their chain may be a circle. */
const mostErrors = 10;
/** How many characters are carried of each text; a failure tells less of it. */
const mostText = 16_000;
/** How many fields of an error are carried. */
const mostFields = 50;

/** Returns what JSON makes of a value, and of a large one a text. Returns nothing of one that JSON cannot carry. */
function throughJson(value: unknown, redaction: Redaction | undefined): unknown {
  const text = textOf(value, mostText, redaction);
  if (typeof value === 'string') return text;
  if (typeof value !== 'object') return tryTo(() => JSON.parse(JSON.stringify(value)));
  return value === null ? null : (tryTo(() => JSON.parse(text)) ?? text);
}

function fieldsOf(thrown: Error, redaction: Redaction | undefined): object {
  const names = tryTo(() => Object.keys(thrown).slice(0, mostFields)) ?? [];
  const others = names.filter((name) => name !== 'cause' && name !== 'errors');
  const fields = others.map((name) => [name, throughJson(read(thrown, name), redaction)] as const);
  return Object.fromEntries(fields.filter(([, value]) => value !== undefined));
}

/** Writes down what was thrown, without what must not be told where that has to become JSON. Never throws. */
export function carryError(thrown: unknown, redaction?: Redaction, left = { errors: mostErrors }): CarriedError {
  hearThrown(thrown);
  if (!isError(thrown)) {
    return { kind: 'value', value: throughJson(thrown, redaction) ?? textOf(thrown, mostText, redaction) };
  }
  const prototype = tryTo(() => Object.getPrototypeOf(thrown));
  const inner = behind(thrown).filter(() => left.errors-- > 0);
  const cause = read(thrown, 'cause');
  return {
    kind: 'error',
    known: Object.keys(known).find((name) => known[name]?.prototype === prototype),
    name: nameOf(thrown, redaction),
    message: messageOf(thrown, mostText, redaction),
    stack: stackOf(thrown, mostText, redaction),
    fields: fieldsOf(thrown, redaction),
    behind: inner.map((error) => carryError(error, redaction, left)),
    hasCause: inner.length > 0 && inner.at(-1) === cause,
  };
}

function hidden(error: object, name: string, value: unknown): void {
  Object.defineProperty(error, name, { value, writable: true, configurable: true });
}

/** Makes an error of the same class, code, fields and stack. */
export function reviveError(carried: CarriedError): unknown {
  if (carried.kind === 'value') return carried.value;
  const { message, stack, fields, name, hasCause } = carried;
  const error = new Error(message);
  const found = carried.known === undefined ? undefined : known[carried.known];
  const inner = carried.behind.map(reviveError);
  hidden(error, 'stack', stack);
  if (found) Object.setPrototypeOf(error, found.prototype);
  else hidden(error, 'name', name);
  if (hasCause) hidden(error, 'cause', inner.pop());
  if (inner.length > 0) hidden(error, 'errors', inner);
  return Object.assign(error, fields);
}
