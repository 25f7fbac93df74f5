/** What a case hides in its payload; no output may show it. */
export const secretMark = 'S3CR3T';
/** The password of each URL of a case; no output may show it. */
export const passwordMark = 'Pa55w0rd';

/** The fields of a hostile payload whose values are secret, as a manifest redacts them. */
export const redactedFields = ['token', 'user.email', 'items.*.card'] as const;

/** Values that are neither JSON nor made of other values, by the name of how they are made. */
export const oddNames = [
  'undefined',
  'NaN',
  'infinity',
  'minus zero',
  'bigint',
  'symbol',
  'function',
  'class',
  'regular expression',
  'date',
  'invalid date',
  'map',
  'set',
  'weak map',
  'promise',
  'rejected promise',
  'thenable that throws',
  'thenable that rejects',
  'thenable without an end',
  'typed array',
  'buffer',
  'array buffer',
  'data view',
  'url',
  'search params',
  'headers',
  'response',
  'abort signal',
  'generator',
  'boxed number',
  'boxed text',
  'boxed symbol',
  'global',
  'arguments',
  'bare object',
  'circle',
  'circle of causes',
  'frozen error',
  'error without a prototype',
  'throwing toJSON',
  'toJSON of nothing',
  'toJSON of itself',
  'toJSON of an odd value',
  'toJSON that is no function',
  'throwing toString',
  'toString of a symbol',
  'throwing toPrimitive',
  'revoked proxy',
] as const;
export type OddName = (typeof oddNames)[number];

export const errorTypes = [
  'Error',
  'TypeError',
  'AggregateError',
  'DOMException',
  'foreign',
  'subclass',
  'IsletError',
  'PermanentError',
  'TimeoutError',
  'ReleasedError',
  'LockLostError',
  'CancelledError',
  'PoolCrashedError',
] as const;
export type ErrorType = (typeof errorTypes)[number];

/** The properties of an error of which the getters throw. */
export const breakable = ['name', 'message', 'stack', 'cause', 'code', 'errors', 'toString', 'toJSON'] as const;
export type Breakable = (typeof breakable)[number];

export const traps = ['get', 'has', 'ownKeys', 'getPrototypeOf', 'getOwnPropertyDescriptor'] as const;
export type Trap = (typeof traps)[number];

/** The texts that are slow to search, or hard to write. */
export const textPieces = {
  hex: 'deadbeef',
  word: 'a ',
  colons: 'a:',
  slashes: '://',
  at: 'a@b.',
  redis: 'redis://',
  query: '?password=',
  quote: '"\\',
  lines: '\n    at x',
  'half an emoji': '\ud83d',
  emoji: '\u{1f511}',
  zero: '\0',
} as const;
export type TextPiece = keyof typeof textPieces;

/** How to make a value. It is JSON, so that it can be a payload, be printed, and be made smaller when a test fails. */
export type Recipe =
  | { is: 'json'; value: unknown }
  | { is: 'odd'; name: OddName }
  | { is: 'text'; piece: TextPiece; length: number }
  | { is: 'secret'; field: 'token' | 'email' | 'card'; in: 'text' | 'json' | 'url' | 'itself' }
  | { is: 'password'; scheme: string }
  | { is: 'object'; fields: readonly (readonly [key: string, value: Recipe])[]; getters: boolean }
  | { is: 'list'; items: readonly Recipe[]; hole: boolean }
  | {
      is: 'error';
      type: ErrorType;
      message: Recipe;
      fields: readonly (readonly [key: string, value: Recipe])[];
      breaks: readonly Breakable[];
    }
  | { is: 'proxy'; of: Recipe; traps: readonly Trap[] }
  | { is: 'deep'; levels: number; in: 'lists' | 'objects' | 'causes' };

/** What the code of a hostile job does with its value. */
export const acts = ['throw', 'throw later', 'return', 'return later', 'log', 'report', 'enqueue'] as const;
export type Act = (typeof acts)[number];

/** The payload of a hostile job. */
export interface HostilePayload {
  readonly act: Act;
  readonly recipe: Recipe;
  readonly token: string;
  readonly user: { readonly email: string };
  readonly items: { readonly card: string }[];
}
