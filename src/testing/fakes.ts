import { types } from 'node:util';
import { IsletError } from '../errors.ts';
import type { TaskContext } from '../worker/task-context.ts';
import { createView } from './view.ts';

/** Stand-ins for some of a queue's dependencies, and for some members of each that is an object. */
export type Fakes<Dependencies extends object> = {
  // biome-ignore lint/suspicious/noExplicitAny: any function stands for itself
  [Name in keyof Dependencies]?: Dependencies[Name] extends (...args: any[]) => unknown
    ? Dependencies[Name]
    : Partial<Dependencies[Name]>;
};

/** The members that promises, inspectors and test runners ask any object for. */
export const askedOfEverything: ReadonlySet<string> = new Set([
  'then',
  'toJSON',
  'constructor',
  'inspect',
  'asymmetricMatch',
  '$$typeof',
  'nodeType',
]);

/** Says whether a fake is written as an object of functions. One that holds data, or has a class, may lack members. */
function isServiceLiteral(fake: unknown): fake is object {
  // A mock that is a proxy makes its members when they are read.
  if (typeof fake !== 'object' || fake === null || types.isProxy(fake)) return false;
  const prototype: unknown = Object.getPrototypeOf(fake);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) return false;
  const members = Object.values(Object.getOwnPropertyDescriptors(fake));
  return members.length === 0 || members.some(({ value }) => typeof value === 'function');
}

/** Shows an object whose missing members throw what `missing` makes; the others are as `show` gives them. */
function guard(
  real: object,
  missing: (name: string) => IsletError,
  show: (value: unknown, name: string, view: object) => unknown,
): object {
  const view: object = createView(real, (name) => {
    if (typeof name === 'symbol' || askedOfEverything.has(name)) return Reflect.get(real, name);
    if (!(name in real)) throw missing(name);
    return show(Reflect.get(real, name), name, view);
  });
  return view;
}

/** Binds a function to its own object, unguarded: only the task has to ask for what is there. */
function bindTo(real: object, view: object, value: unknown): unknown {
  if (typeof value !== 'function') return value;
  return new Proxy(value as (...args: unknown[]) => unknown, {
    apply: (called, self, args) => Reflect.apply(called, self === view ? real : self, args),
  });
}

/**
 * Lets a task see its fakes. Reading one that the test does not give throws `E_FAKE_MISSING`; so does reading a member
 * that is missing in a fake written as an object of functions.
 */
export function createFakeDeps(owner: string, fakes: object): object {
  const inner = new WeakMap<object, object>();
  const missing = (path: string, given: string[], of = '') => {
    const seen = `${of}the test gives ${given.length > 0 ? given.join(', ') : 'none'}`;
    return new IsletError(
      'E_FAKE_MISSING',
      `${owner} asked for its dependency "${path}"; ${seen}. Add a fake of it to the test's \`deps\`.`,
    );
  };
  const guardFake = (fake: object, path: string) => {
    const lacks = (name: string) => missing(`${path}.${name}`, Object.keys(fake), `of "${path}" `);
    const guarded = guard(fake, lacks, (value, _, view) => bindTo(fake, view, value));
    inner.set(fake, guarded);
    return guarded;
  };
  return guard(
    fakes,
    (name) => missing(name, Object.keys(fakes)),
    (fake, name) => (isServiceLiteral(fake) ? (inner.get(fake) ?? guardFake(fake, name)) : fake),
  );
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
