import { types } from 'node:util';
import { askedOfEverything } from './fakes.ts';
import { createView } from './view.ts';

/** Called in place of each function of a fake, with its path and what performs the call. */
export type CallWatcher = (path: string, call: () => unknown) => unknown;

type AnyFunction = (...args: unknown[]) => unknown;

/** Calls that are no step of a task: promises and printers make them. */
const uncounted = new Set([...askedOfEverything, 'catch', 'finally']);

/**
 * Wraps fakes so that each call on them goes through `watch`: of functions at whatever depth, on what such a call
 * returns (`db.begin().commit`), and on what it hands to a callback. Fakes are called as themselves and meet no wrapper;
 * data is left alone.
 */
export function watchCalls<T extends object>(fakes: T, watch: CallWatcher): T {
  return new WatchedCalls(watch).viewObject(fakes, '') as T;
}

class WatchedCalls {
  readonly #watch: CallWatcher;
  /** The views of objects: the same one each time, so that a task may compare them. */
  readonly #views = new WeakMap<object, object>();
  readonly #callbacks = new WeakMap<AnyFunction, AnyFunction>();
  /** What stands behind each view. */
  readonly #reals = new WeakMap<object, object>();

  constructor(watch: CallWatcher) {
    this.#watch = watch;
  }

  viewObject(real: object, path: string): object {
    const known = this.#views.get(real);
    if (known) return known;
    const view = createView(real, (name) => this.#readMember(real, path, name));
    this.#views.set(real, view);
    this.#reals.set(view, real);
    return view;
  }

  #view(value: unknown, path: string, owner?: object): unknown {
    if (isFunction(value)) return this.#viewFunction(value, path, owner);
    return hasCalls(value) ? this.viewObject(value as object, path) : value;
  }

  /** Views a function. It may have members, which are watched too: `deps.http` may be called, and `deps.http.get`. */
  #viewFunction(called: AnyFunction, path: string, owner?: object): AnyFunction {
    const viewReturned = (value: unknown) => changeValue(value, (real) => this.#view(real, `${path}()`));
    const view = new Proxy(called, {
      // The fake is called as itself: its private fields know no proxy.
      apply: (_, self, args) => {
        const call = () => viewReturned(Reflect.apply(called, owner ?? self, this.#toGiven(args, path)));
        return this.#watch(path, call);
      },
      construct: (_, args) => viewReturned(Reflect.construct(called, this.#toGiven(args, path))) as object,
      get: (_, name) => {
        const value: unknown = Reflect.get(called, name);
        const isOwn = Object.getOwnPropertyDescriptor(called, name)?.configurable === true;
        if (!isOwn || typeof name === 'symbol' || uncounted.has(name)) return value;
        return this.#view(value, `${path}.${name}`, called);
      },
    });
    this.#reals.set(view, called);
    return view;
  }

  /** Returns what a fake is given for a task's arguments: what stands behind views, and callbacks that are watched. */
  #toGiven(args: unknown[], path: string): unknown[] {
    return args.map((value) => {
      const real = this.#toReal(value);
      return isFunction(real) && real === value ? this.#watchCallback(real, path) : real;
    });
  }

  #toReal(value: unknown): unknown {
    return this.#reals.get(value as object) ?? value;
  }

  /** Watches what a task hands to a fake, which may call it with more fakes: a transaction. */
  #watchCallback(callback: AnyFunction, path: string): AnyFunction {
    const known = this.#callbacks.get(callback);
    if (known) return known;
    const watched = new Proxy(callback, {
      apply: (_, self, args) => {
        const own = args.map((arg) => this.#view(arg, `${path}()`));
        return changeValue(Reflect.apply(callback, self, own), (value) => this.#toReal(value));
      },
    });
    this.#callbacks.set(callback, watched);
    return watched;
  }

  #readMember(real: object, path: string, name: string | symbol): unknown {
    const value: unknown = Reflect.get(real, name);
    const inner = path === '' ? String(name) : `${path}.${String(name)}`;
    if (name === 'constructor' || (typeof name === 'symbol' && !isFunction(value))) return value;
    if (!isFunction(value)) return this.#view(value, inner);
    if (name === 'then') {
      return (onValue: unknown, onError: unknown) => {
        const onViewed = isFunction(onValue) ? (brought: unknown) => onValue(this.#view(brought, path)) : onValue;
        return Reflect.apply(value, real, [onViewed, onError]);
      };
    }
    const isStep = typeof name === 'string' && !uncounted.has(name) && value !== Reflect.get(Object.prototype, name);
    return isStep ? this.#viewFunction(value, inner, real) : value.bind(real);
  }
}

const isFunction = (value: unknown): value is AnyFunction => typeof value === 'function';

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

/**
 * Says whether a value is an array, a buffer, a date, a map, an error or a URL: data, whose inner slots know no proxy. It is
 * known by its name, since test runners have realms.
 */
function isBuiltIn(value: object): boolean {
  const name = Object.prototype.toString.call(value).slice('[object '.length, -1);
  return name !== 'Object' && (isFunction(Reflect.get(globalThis, name)) || /(Iterator|Generator)$/.test(name));
}

/** Applies `change` to a value, or to what its promise brings. */
function changeValue(value: unknown, change: (value: unknown) => unknown): unknown {
  return isPlainPromise(value) ? value.then(change) : change(value);
}

/**
 * Says whether a value is a promise and nothing else: a query builder's may have methods, and starts with its `then`. A Node
 * before 24 marks each promise with symbols, where anything uses AsyncLocalStorage.
 */
function isPlainPromise(value: unknown): value is Promise<unknown> {
  const hasMembers = () => Object.getOwnPropertyNames(value).length > 0;
  return types.isPromise(value) && value.constructor?.name === 'Promise' && !hasMembers();
}
