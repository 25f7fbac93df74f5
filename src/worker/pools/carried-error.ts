import * as errors from '../../errors.ts';
import { textOf } from '../outcome.ts';

export type CarriedError =
  | {
      readonly kind: 'error';
      /** The name of a class that both sides know. Of an error of another class, only its name arrives. */
      readonly known: string | undefined;
      readonly name: string;
      readonly message: string;
      readonly stack: string;
      readonly fields: object;
      readonly cause: CarriedError | undefined;
    }
  | { readonly kind: 'value'; readonly value: unknown };

const { hidePasswords: _, ...isletErrors } = errors;
const known: Record<string, { readonly prototype: Error }> = {
  ...isletErrors,
  ...{ TypeError, RangeError, SyntaxError, ReferenceError, URIError, EvalError },
};

/** How many causes of causes are carried: their chain may be a circle. */
const mostCauses = 5;

/** Returns what JSON makes of a value. Returns nothing of a getter that throws, or of a value that refers to itself. */
function throughJson(read: () => unknown): unknown {
  try {
    return JSON.parse(JSON.stringify(read()));
  } catch {
    return undefined;
  }
}

function toValue(thrown: unknown): CarriedError {
  const value = throughJson(() => thrown);
  return { kind: 'value', value: value === undefined ? textOf(() => thrown) || `a thrown ${typeof thrown}` : value };
}

/** Writes down what was thrown. Never throws. */
export function carryError(thrown: unknown, depth = 0): CarriedError {
  if (!(thrown instanceof Error)) return toValue(thrown);
  const prototype = Object.getPrototypeOf(thrown);
  const { cause } = thrown;
  const fields = Object.keys(thrown).map((name) => [name, throughJson(() => Reflect.get(thrown, name))] as const);
  return {
    kind: 'error',
    known: Object.keys(known).find((name) => known[name]?.prototype === prototype),
    name: textOf(() => thrown.name),
    message: textOf(() => thrown.message),
    stack: textOf(() => thrown.stack ?? ''),
    fields: Object.fromEntries(fields.filter(([, value]) => value !== undefined)),
    cause: cause === undefined || depth >= mostCauses ? undefined : carryError(cause, depth + 1),
  };
}

/** Makes an error of the same class, code, fields and stack. */
export function reviveError(carried: CarriedError): unknown {
  if (carried.kind === 'value') return carried.value;
  const { message, stack, fields, name, cause } = carried;
  const error = new Error(message, cause === undefined ? undefined : { cause: reviveError(cause) });
  const found = carried.known === undefined ? undefined : known[carried.known];
  Object.defineProperty(error, 'stack', { value: stack, writable: true, configurable: true });
  if (found) Object.setPrototypeOf(error, found.prototype);
  else Object.defineProperty(error, 'name', { value: name, writable: true, configurable: true });
  return Object.assign(error, fields);
}
