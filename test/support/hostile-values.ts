import { runInNewContext } from 'node:vm';

const refuse = (): never => {
  throw new Error('a trap was sprung');
};

/** Makes an error that throws when this property of it is read. */
function withTrap(name: string | symbol): Error {
  return Object.defineProperty(new Error('trapped'), name, { get: refuse });
}

function throwingProxy(): object {
  const traps = ['get', 'has', 'set', 'ownKeys', 'getPrototypeOf', 'getOwnPropertyDescriptor', 'apply', 'isExtensible'];
  return new Proxy(new Error('inside'), Object.fromEntries(traps.map((trap) => [trap, refuse])));
}

function revokedProxy(): object {
  const { proxy, revoke } = Proxy.revocable(new Error('inside'), {});
  revoke();
  return proxy;
}

function circle(): Error {
  const [first, second] = [new Error('first'), new Error('second')];
  Object.assign(first, { cause: second });
  return Object.assign(second, { cause: first });
}

/** Makes a list or an object in so many others. */
export function nest(levels: number): unknown {
  let value: unknown = 'core';
  for (let level = 0; level < levels; level += 1) value = level % 2 === 0 ? [value] : { in: value };
  return value;
}

/** Values that code may throw, each of which something would trip over that asks it too much. */
export const hostileValues: Record<string, () => unknown> = {
  'an error whose message throws': () => withTrap('message'),
  'an error whose name throws': () => withTrap('name'),
  'an error whose stack throws': () => withTrap('stack'),
  'an error whose cause throws': () => withTrap('cause'),
  'an error whose code throws': () => withTrap('code'),
  'an error whose constructor throws': () => withTrap('constructor'),
  'an error whose tag throws': () => withTrap(Symbol.toStringTag),
  'an error whose toJSON throws': () => withTrap('toJSON'),
  'an error whose message is an object that throws': () =>
    Object.defineProperty(new Error('x'), 'message', { value: { toString: refuse, toJSON: refuse } }),
  'a proxy that throws whatever it is asked': throwingProxy,
  'a revoked proxy': revokedProxy,
  'an error whose cause is a revoked proxy': () => new Error('outer', { cause: revokedProxy() }),
  'an aggregate of proxies': () => new AggregateError([throwingProxy(), revokedProxy()], 'many'),
  'an object that throws whatever is read': () => ({
    get a() {
      return refuse();
    },
    toString: refuse,
  }),
  'a symbol': () => Symbol('s'),
  'a function': () => function named() {},
  'a bigint': () => 7n,
  'a huge bigint': () => 1n << 4_000_000n,
  'an object without a prototype': () => Object.assign(Object.create(null), { why: 'none' }),
  'a promise that rejects': () => Promise.reject(new Error('inside a promise')),
  'a thenable': () => Object.defineProperty({}, 'then', { value: refuse, enumerable: true }),
  'a frozen object': () => Object.freeze({ why: 'frozen' }),
  'a frozen error': () => Object.freeze(new Error('frozen')),
  'a circle of causes': circle,
  'a circle of fields': () => {
    const self: Record<string, unknown> = {};
    self.self = self;
    return self;
  },
  'a hundred thousand levels': () => nest(100_000),
  'a message of 100 MB': () => new Error('m'.repeat(100_000_000)),
  'a text of 100 MB': () => 't'.repeat(100_000_000),
  'a buffer of 100 MB': () => Buffer.alloc(100_000_000),
  'a list without end': () => new Array(4_000_000_000),
  'an error of another realm': () => runInNewContext('new TypeError("from afar")'),
  nothing: () => undefined,
  null: () => null,
  'an invalid date': () => new Date(Number.NaN),
};
