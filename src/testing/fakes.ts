import { IsletError } from '../errors.ts';
import type { TaskContext } from '../worker/task-context.ts';

/** Stand-ins for a queue's dependencies: any of them, and of an object any of its members. */
export type Fakes<Dependencies extends object> = {
  // biome-ignore lint/suspicious/noExplicitAny: any function stands for itself
  [Name in keyof Dependencies]?: Dependencies[Name] extends (...args: any[]) => unknown
    ? Dependencies[Name]
    : Partial<Dependencies[Name]>;
};

/** What promises, inspectors and test runners ask any object for. */
const askedOfEverything = new Set([
  'then',
  'toJSON',
  'constructor',
  'inspect',
  'asymmetricMatch',
  '$$typeof',
  'nodeType',
]);

/** Lets a task see its fakes. Reading one that the test does not give throws `E_FAKE_MISSING`. */
export function createFakeDeps(owner: string, fakes: object): object {
  return new Proxy(fakes, {
    get(target, name, receiver) {
      if (name in target || typeof name === 'symbol' || askedOfEverything.has(name)) {
        return Reflect.get(target, name, receiver);
      }
      const given = Object.keys(target);
      const seen = given.length > 0 ? `the test gives ${given.join(', ')}` : 'the test gives none';
      throw new IsletError(
        'E_FAKE_MISSING',
        `${owner} asked for its dependency "${name}"; ${seen}. Add a fake of it to the test's \`deps\`.`,
      );
    },
  });
}

const silent = () => {};

/** A log that says nothing. */
export const silentLog = {
  trace: silent,
  debug: silent,
  info: silent,
  warn: silent,
  error: silent,
  fatal: silent,
  child: () => silentLog,
} as unknown as TaskContext['log'];

/** Called in place of each function of a fake, with its path and what performs the call. */
export type CallWatcher = (path: string, call: () => unknown) => unknown;

function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

/** Wraps fakes so that each call on them, at whatever depth, goes through `watch`. */
export function watchCalls<T extends object>(fakes: T, watch: CallWatcher, path = ''): T {
  const wrap = (value: unknown, name: string, owner: object): unknown => {
    if (typeof value === 'function') {
      return watchFunction(value as (...args: unknown[]) => unknown, name, owner, watch);
    }
    return isObject(value) ? watchCalls(value, watch, name) : value;
  };
  // Not a proxy of the object itself: a frozen one would have to give its own members, unwrapped.
  return new Proxy(Object.create(Object.getPrototypeOf(fakes)) as T, {
    get: (_, name) => wrap(Reflect.get(fakes, name), path ? `${path}.${String(name)}` : String(name), fakes),
    set: (_, name, value) => Reflect.set(fakes, name, value),
    has: (_, name) => name in fakes,
    ownKeys: () => Reflect.ownKeys(fakes),
    getOwnPropertyDescriptor: (_, name) => {
      const found = Reflect.getOwnPropertyDescriptor(fakes, name);
      return found && { ...found, configurable: true };
    },
  });
}

/** A function may have members, which are watched too: `deps.http` may be called, and `deps.http.get`. */
function watchFunction(called: (...args: unknown[]) => unknown, path: string, owner: object, watch: CallWatcher) {
  return new Proxy(called, {
    // Bound to the fake itself: its private fields know no proxy.
    apply: (_, __, args) => watch(path, () => Reflect.apply(called, owner, args)),
    get: (_, name) => {
      const value: unknown = Reflect.get(called, name);
      const isOwn = Object.hasOwn(called, name) && typeof value === 'function' && name !== 'prototype';
      const inner = value as (...args: unknown[]) => unknown;
      return isOwn ? watchFunction(inner, `${path}.${String(name)}`, called, watch) : value;
    },
  });
}
