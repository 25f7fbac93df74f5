/** A promise, and what settles it. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T | PromiseLike<T>): void;
  reject(error: unknown): void;
}

/** Makes a promise that is settled from outside, as `Promise.withResolvers` does from Node 22 on. */
export function defer<T = void>(): Deferred<T> {
  const deferred = {} as Deferred<T>;
  const promise = new Promise<T>((resolve, reject) => Object.assign(deferred, { resolve, reject }));
  return Object.assign(deferred, { promise });
}
