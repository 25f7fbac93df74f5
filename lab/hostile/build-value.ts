import { createContext, runInContext } from 'node:vm';
import * as islet from 'islet';
import {
  type Breakable,
  type ErrorType,
  type HostilePayload,
  type OddName,
  passwordMark,
  type Recipe,
  type Trap,
  textPieces,
} from './recipe.ts';

type Fields = readonly (readonly [key: string, value: Recipe])[];

class OddError extends Error {
  override name = 'OddError';
}

const refuse = (): never => {
  throw new Error('this value does not let itself be read');
};

/** Rejects, and says that somebody has heard of it. */
function rejected(): Promise<never> {
  const promise = Promise.reject(new Error('a rejection inside a value'));
  promise.catch(() => {});
  return promise;
}

function circle(): object {
  const value: Record<string, unknown> = {};
  value.self = [value];
  return value;
}

function circleOfCauses(): Error {
  const first = new Error('first');
  const second = new Error('second', { cause: first });
  first.cause = second;
  return first;
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function argumentsOf(..._given: unknown[]): IArguments {
  // biome-ignore lint/complexity/noArguments: this is the value that is wanted
  return arguments;
}

const odd: Record<OddName, () => unknown> = {
  undefined: () => undefined,
  NaN: () => Number.NaN,
  infinity: () => Number.POSITIVE_INFINITY,
  'minus zero': () => -0,
  bigint: () => 12n,
  symbol: () => Symbol('odd'),
  function: () => () => 'odd',
  class: () => OddError,
  'regular expression': () => /odd/g,
  date: () => new Date(0),
  'invalid date': () => new Date(Number.NaN),
  map: () => new Map([['a', 1]]),
  set: () => new Set([1]),
  'weak map': () => new WeakMap(),
  promise: () => Promise.resolve(1),
  'rejected promise': rejected,
  'thenable that throws': () => Object.defineProperty({}, 'then', { get: refuse, enumerable: true }),
  // biome-ignore lint/suspicious/noThenProperty: this is the value that is wanted
  'thenable that rejects': () => ({ then: (_: unknown, reject: (error: unknown) => void) => reject(revoked()) }),
  // biome-ignore lint/suspicious/noThenProperty: this is the value that is wanted
  'thenable without an end': () => ({ then() {} }),
  'typed array': () => new Uint8Array([1, 2, 3]),
  buffer: () => Buffer.from('odd'),
  'array buffer': () => new ArrayBuffer(8),
  'data view': () => new DataView(new ArrayBuffer(8)),
  url: () => new URL('http://localhost/odd'),
  'search params': () => new URLSearchParams('a=1'),
  headers: () => new Headers({ a: '1' }),
  response: () => new Response('odd'),
  'abort signal': () => new AbortController().signal,
  generator: () => (function* () {})(),
  'boxed number': () => Object(1),
  'boxed text': () => Object('odd'),
  'boxed symbol': () => Object(Symbol('odd')),
  global: () => globalThis,
  arguments: () => argumentsOf(1),
  'bare object': () => Object.assign(Object.create(null), { a: 1 }),
  circle,
  'circle of causes': circleOfCauses,
  'frozen error': () => Object.freeze(new Error('frozen')),
  'error without a prototype': () => Object.setPrototypeOf(new Error('bare'), null),
  'throwing toJSON': () => ({ a: 1, toJSON: refuse }),
  'toJSON of nothing': () => ({ a: 1, toJSON() {} }),
  'toJSON of itself': () => ({
    a: 1,
    toJSON() {
      return this;
    },
  }),
  'toJSON of an odd value': () => ({ toJSON: () => new Map() }),
  'toJSON that is no function': () => ({ a: 1, toJSON: 5 }),
  'throwing toString': () => ({ toString: refuse }),
  'toString of a symbol': () => ({ toString: () => Symbol('odd') }),
  'throwing toPrimitive': () => ({ [Symbol.toPrimitive]: refuse }),
  'revoked proxy': revoked,
};

let foreignRealm: object | undefined;

function foreignError(message: unknown): Error {
  foreignRealm ??= createContext({});
  const made = runInContext('new Error()', foreignRealm) as Error;
  Object.defineProperty(made, 'message', { value: message, configurable: true, writable: true });
  return made;
}

const errors: Record<ErrorType, (message: string) => Error> = {
  Error: (message) => new Error(message),
  TypeError: (message) => new TypeError(message),
  AggregateError: (message) => new AggregateError([new Error('one'), new Error('two')], message),
  DOMException: (message) => new DOMException(message, 'AbortError'),
  foreign: foreignError,
  subclass: (message) => new OddError(message),
  IsletError: (message) => new islet.IsletError('E_OF_THE_TASK', message),
  PermanentError: (message) => new islet.PermanentError(message),
  TimeoutError: () => new islet.TimeoutError('hostile', 1),
  ReleasedError: () => new islet.ReleasedError('1'),
  LockLostError: () => new islet.LockLostError('1'),
  CancelledError: () => new islet.CancelledError('1', 'hostile'),
  PoolCrashedError: (message) => new islet.PoolCrashedError(message),
};

/** Sets a property, also where one that cannot be written is in the way. Gives up where that is not to be had. */
function define(target: object, key: string, how: PropertyDescriptor): void {
  Reflect.defineProperty(target, key, { configurable: true, enumerable: true, ...how });
}

function fill(target: object, fields: Fields, payload: HostilePayload, getters = false): object {
  for (const [key, recipe] of fields) {
    const value = buildValue(recipe, payload);
    define(target, key, getters ? { get: () => value } : { value, writable: true });
  }
  return target;
}

function buildError(recipe: Extract<Recipe, { is: 'error' }>, payload: HostilePayload): Error {
  const message = buildValue(recipe.message, payload);
  const isText = typeof message === 'string';
  const error = errors[recipe.type](isText ? message : 'odd');
  // The stack is written when it is first touched, from a name and message that may be broken by then.
  void error.stack;
  if (!isText) define(error, 'message', { value: message, enumerable: false });
  fill(error, recipe.fields, payload);
  for (const key of recipe.breaks) breakProperty(error, key);
  return error;
}

function breakProperty(error: Error, key: Breakable): void {
  define(error, key, { get: refuse, enumerable: false });
}

function buildProxy(target: unknown, broken: readonly Trap[]): unknown {
  const isObject = (typeof target === 'object' && target !== null) || typeof target === 'function';
  if (!isObject) return target;
  return new Proxy(target as object, Object.fromEntries(broken.map((trap) => [trap, refuse])));
}

function buildDeep({ levels, in: inside }: Extract<Recipe, { is: 'deep' }>): unknown {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  let value: unknown = 'deep';
  for (let level = 0; level < levels; level++) {
    if (inside === 'lists') value = [value];
    else if (inside === 'objects') value = { in: value };
    else value = new Error('deep', { cause: value });
  }
  Error.stackTraceLimit = stackTraceLimit;
  return value;
}

function secretOf(payload: HostilePayload, field: Extract<Recipe, { is: 'secret' }>['field']): string {
  if (field === 'token') return payload.token;
  return field === 'email' ? payload.user.email : (payload.items[0]?.card ?? '');
}

function showSecret(secret: string, how: Extract<Recipe, { is: 'secret' }>['in']): unknown {
  if (how === 'itself') return secret;
  if (how === 'json') return JSON.stringify({ card: secret });
  if (how === 'text') return `It said ${secret}, and no more.`;
  // Half a surrogate pair fits no URL.
  return /\p{Surrogate}/u.test(secret) ? secret : `http://localhost/?key=${encodeURIComponent(secret)}`;
}

/** Makes the value of a recipe; `payload` says which secrets it may hold. */
export function buildValue(recipe: Recipe, payload: HostilePayload): unknown {
  switch (recipe.is) {
    case 'json':
      return recipe.value;
    case 'odd':
      return odd[recipe.name]();
    case 'text':
      return textPieces[recipe.piece]
        .repeat(Math.ceil(recipe.length / textPieces[recipe.piece].length))
        .slice(0, recipe.length);
    case 'secret':
      return showSecret(secretOf(payload, recipe.field), recipe.in);
    case 'password':
      return `cannot reach ${recipe.scheme}://user:${passwordMark}@localhost:1/0`;
    case 'object':
      return fill({}, recipe.fields, payload, recipe.getters);
    case 'list': {
      const items = recipe.items.map((item) => buildValue(item, payload));
      if (recipe.hole) items.length += 1;
      return items;
    }
    case 'error':
      return buildError(recipe, payload);
    case 'proxy':
      return buildProxy(buildValue(recipe.of, payload), recipe.traps);
    case 'deep':
      return buildDeep(recipe);
  }
}
