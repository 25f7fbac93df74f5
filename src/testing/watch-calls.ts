import { types } from 'node:util';
import { askedOfEverything } from './fakes.ts';
import { createView } from './view.ts';

/** Called in place of each function of a fake, with its path and what performs the call. */
export type CallWatcher = (path: string, call: () => unknown) => unknown;

type AnyFunction = (...args: unknown[]) => unknown;

/** Calls that are no step of a task: what promises and printers ask for. */
const uncounted = new Set([...askedOfEverything, 'catch', 'finally']);

const isFunction = (value: unknown): value is AnyFunction => typeof value === 'function';

/** Arrays, buffers, dates, maps, errors, URLs: data, whose inner slots know no proxy. By name, since runners have realms. */
function isBuiltIn(value: object): boolean {
  const name = Object.prototype.toString.call(value).slice('[object '.length, -1);
  return name !== 'Object' && (isFunction(Reflect.get(globalThis, name)) || /(Iterator|Generator)$/.test(name));
}

/** Says whether a value is a function or an object with one, at whatever depth; getters may give any. */
function hasCalls(value: unknown, seen = new Set<object>()): boolean {
  if (isFunction(value) || types.isProxy(value)) return true;
  if (typeof value !== 'object' || value === null || seen.has(value) || isBuiltIn(value)) return false;
  seen.add(value);
  for (let at: object | null = value; at; at = Object.getPrototypeOf(at)) {
    const isRoot = at !== value && Object.getPrototypeOf(at) === null;
    const members = isRoot ? [] : Object.entries(Object.getOwnPropertyDescriptors(at));
    if (members.some(([name, { get, value: member }]) => name !== 'constructor' && (get || hasCalls(member, seen)))) {
      return true;
    }
  }
  return false;
}

/** A promise and nothing else: what a query builder returns may have methods, and starts when `then` is called. */
function isPlainPromise(value: unknown): value is Promise<unknown> {
  return types.isPromise(value) && value.constructor?.name === 'Promise' && Reflect.ownKeys(value).length === 0;
}

/** Applies `change` to a value, or to what its promise brings. */
function changeValue(value: unknown, change: (value: unknown) => unknown): unknown {
  return isPlainPromise(value) ? value.then(change) : change(value);
}

/**
 * Wraps fakes so that each call on them goes through `watch`: of functions at whatever depth, on what such a call
 * returns (`db.begin().commit`), and on what it hands to a callback. Fakes are called as themselves and meet no wrapper;
 * data is left alone.
 */
export function watchCalls<T extends object>(fakes: T, watch: CallWatcher): T {
  /** The same one each time, so that a task may compare them. */
  const views = new WeakMap<object, object>();
  const callbacks = new WeakMap<AnyFunction, AnyFunction>();
  const reals = new WeakMap<object, object>();

  const keep = <V extends object>(view: V, real: object): V => {
    reals.set(view, real);
    return view;
  };
  const toReal = (value: unknown): unknown => reals.get(value as object) ?? value;
  const toGiven = (path: string) => (value: unknown) => {
    const real = toReal(value);
    return isFunction(real) && real === value ? watchCallback(real, path) : real;
  };
  const wrap = (value: unknown, path: string, owner?: object): unknown => {
    if (isFunction(value)) return watchFunction(value, path, owner);
    return hasCalls(value) ? watchObject(value as object, path) : value;
  };

  /** What a task hands to a fake may be called with more fakes: a transaction. */
  const watchCallback = (callback: AnyFunction, path: string): AnyFunction => {
    const known = callbacks.get(callback);
    if (known) return known;
    const watched = new Proxy(callback, {
      apply: (_, self, args) => {
        const own = args.map((arg) => wrap(arg, `${path}()`));
        return changeValue(Reflect.apply(callback, self, own), toReal);
      },
    });
    callbacks.set(callback, watched);
    return watched;
  };

  /** A function may have members, which are watched too: `deps.http` may be called, and `deps.http.get`. */
  const watchFunction = (called: AnyFunction, path: string, owner?: object): AnyFunction => {
    const wrapReturned = (value: unknown) => changeValue(value, (real) => wrap(real, `${path}()`));
    const view = new Proxy(called, {
      // As the fake itself: its private fields know no proxy.
      apply: (_, self, args) =>
        watch(path, () => wrapReturned(Reflect.apply(called, owner ?? self, args.map(toGiven(path))))),
      construct: (_, args) => wrapReturned(Reflect.construct(called, args.map(toGiven(path)))) as object,
      get: (_, name) => {
        const value: unknown = Reflect.get(called, name);
        const isOwn = Object.getOwnPropertyDescriptor(called, name)?.configurable === true;
        if (!isOwn || typeof name === 'symbol' || uncounted.has(name)) return value;
        return wrap(value, `${path}.${name}`, called);
      },
    });
    return keep(view, called);
  };

  const readMember = (real: object, path: string, name: string | symbol): unknown => {
    const value: unknown = Reflect.get(real, name);
    const inner = path === '' ? String(name) : `${path}.${String(name)}`;
    if (name === 'constructor' || (typeof name === 'symbol' && !isFunction(value))) return value;
    if (!isFunction(value)) return wrap(value, inner);
    if (name === 'then') {
      return (onValue: unknown, onError: unknown) => {
        const onWrapped = isFunction(onValue) ? (brought: unknown) => onValue(wrap(brought, path)) : onValue;
        return Reflect.apply(value, real, [onWrapped, onError]);
      };
    }
    const isStep = typeof name === 'string' && !uncounted.has(name) && value !== Reflect.get(Object.prototype, name);
    return isStep ? watchFunction(value, inner, real) : value.bind(real);
  };

  const watchObject = (real: object, path: string): object => {
    const known = views.get(real);
    if (known) return known;
    const view = createView(real, (name) => readMember(real, path, name));
    views.set(real, view);
    return keep(view, real);
  };

  return watchObject(fakes, '') as T;
}
