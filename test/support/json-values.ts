const nest = (levels: number) => JSON.parse(`${'['.repeat(levels)}${']'.repeat(levels)}`) as unknown;

const sparse = [1, 2];
sparse[3] = 4;

const circle: Record<string, unknown> = {};
circle.list = [{ circle }];

const throwing = () => {
  throw new Error('secret-5b1e');
};

class Point {
  readonly x = 1;
}

/** Values that arrive as they were. */
export const carried: readonly unknown[] = [
  [null, true, false, '', 'text', 0, 1.5, 1e300, 5e-324, Number.MAX_SAFE_INTEGER],
  { zero: -0, list: [-0] },
  { lone: '\ud83d', other: ['\ude00'], '\ud83d': 1, pair: '😀' },
  { text: '"\\/\b\f\n\r\t\u0000\u001f\u007f\u2028', 'a "key"\n': {} },
  JSON.parse('{ "__proto__": { "polluted": true }, "constructor": 1, "toString": null, "then": 1 }'),
  { '': [], 1: {}, 'a.b': [[]] },
  Object.assign(Object.create(null), { bare: true }),
  nest(499),
  'long '.repeat(1_000),
];

/** Values that are written as something else, which their class has chosen. */
export const converted: readonly [unknown, unknown][] = [
  [{ at: new Date(0) }, { at: '1970-01-01T00:00:00.000Z' }],
  [new URL('https://example.com/a'), 'https://example.com/a'],
  [{ toJSON: () => ({ inside: { toJSON: (key: string) => key } }) }, { inside: 'inside' }],
  [{ a: 1, b: undefined }, { a: 1 }],
];

/** Values that cannot travel, made anew each time, with what is said of each. */
export const refused: readonly [string, () => unknown, string][] = [
  ['a RegExp', () => ({ pattern: /a/ }), 'value.pattern is a RegExp'],
  ['an Error', () => ({ error: new TypeError('no') }), 'value.error is a TypeError'],
  ['a Promise', () => [Promise.resolve(1)], 'value[0] is a Promise'],
  ['a Response', () => ({ response: new Response('') }), 'value.response is a Response'],
  ['Headers', () => ({ headers: new Headers() }), 'value.headers is a Headers'],
  ['URLSearchParams', () => ({ query: new URLSearchParams('a=1') }), 'value.query is a URLSearchParams'],
  ['a Map', () => new Map(), 'value is a Map'],
  ['a Set', () => ({ 'odd key': new Set() }), 'value["odd key"] is a Set'],
  ['a WeakMap', () => [new WeakMap()], 'value[0] is a WeakMap'],
  ['an invalid Date', () => ({ at: [new Date(Number.NaN)] }), 'value.at[0] is an invalid Date'],
  ['a typed array', () => ({ bytes: new Uint8Array(2) }), 'value.bytes is a Uint8Array'],
  ['a Buffer', () => ({ bytes: Buffer.from('a') }), 'value.bytes is a Buffer'],
  ['an ArrayBuffer', () => ({ bytes: new ArrayBuffer(2) }), 'value.bytes is an ArrayBuffer'],
  ['a sparse list', () => ({ list: sparse }), 'value.list[2] is undefined'],
  ['undefined in a list', () => [undefined], 'value[0] is undefined'],
  ['a list with named fields', () => ({ match: 'ab'.match(/a/) }), 'value.match is a list with named fields'],
  ['NaN', () => ({ size: Number.NaN }), 'value.size is NaN'],
  ['Infinity', () => [[Number.NEGATIVE_INFINITY]], 'value[0][0] is -Infinity'],
  ['a function', () => ({ f() {} }), 'value.f is a function'],
  ['a symbol', () => ({ kind: Symbol('a') }), 'value.kind is a symbol'],
  ['a symbol as a key', () => ({ inner: { [Symbol('a')]: 1 } }), 'value.inner has a symbol as a key'],
  ['a bigint', () => ({ n: 1n }), 'value.n is a bigint'],
  ['an instance of a class', () => ({ at: new Point() }), 'value.at is a Point'],
  ['an anonymous class', () => ({ at: new (class {})() }), 'value.at is an object of a class'],
  ['a boxed text', () => [new String('a')], 'value[0] is a String'],
  ['Math', () => ({ Math }), 'value.Math is an Object'],
  ['a circle', () => circle, 'value.list[0].circle refers back to a value that holds it'],
  ['5,000 levels', () => nest(5_000), `value${'[0]'.repeat(12)} ... is more than 500 levels deep`],
  ['a toJSON that gives nothing', () => ({ toJSON: () => undefined }), 'value has a toJSON that gives undefined'],
  [
    'a toJSON that gives itself',
    () => [Object.assign(new Point(), { toJSON: (): unknown => new Point() })],
    'is a Point',
  ],
  ['a toJSON that throws', () => ({ at: { toJSON: throwing } }), 'value.at throws when it is read'],
  ['a getter that throws', () => Object.defineProperty({}, 'a', { get: throwing, enumerable: true }), 'value.a throws'],
  ['a Proxy that throws', () => ({ a: new Proxy({}, { ownKeys: throwing }) }), 'value.a throws when it is read'],
  ['a Proxy that is revoked', () => [revoked()], 'value[0] throws when it is read'],
];

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}
