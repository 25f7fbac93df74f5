import type { Store } from './redis-server.ts';

/** Set by the contender that brings a PostgreSQL. */
let create: (() => Promise<Store>) | undefined;
let stop: (() => Promise<void>) | undefined;

export function usePostgres(server: { createDatabase(): Promise<Store>; stop(): Promise<void> }): void {
  create = server.createDatabase;
  stop = server.stop;
}

/** Creates an empty database on the run's own server. */
export async function createDatabase(): Promise<Store> {
  if (create === undefined) throw new Error('No PostgreSQL was started.');
  return create();
}

export async function stopPostgres(): Promise<void> {
  await stop?.();
}
