import type { Redis } from 'ioredis';
import type { IsletError } from '../errors.ts';
import { resultKey } from './keys.ts';

interface Waiter {
  /** Ends the wait, with what is stored or with nothing. */
  wake(stored: string | undefined): void;
  fail(error: Error): void;
}

/** How long, in milliseconds, the last look before a time-out may take. */
const lastLookMs = 500;

/** Two connections, opened at the first wait: a subscribed one can read nothing else. */
function openConnections(duplicate: () => Redis, waiters: Map<string, Set<Waiter>>) {
  const reading = duplicate();
  const subscriber = duplicate();
  const wakeAll = (key: string, stored: string) => {
    for (const { wake } of waiters.get(key) ?? []) wake(stored);
  };
  /** Subscribes to the job's own channel, then reads, so that no result slips between. */
  const look = (key: string) => {
    const found = subscriber.subscribe(key).then(() => reading.get(key));
    found.then((stored) => stored && wakeAll(key, stored)).catch(() => {});
  };
  subscriber.on('message', wakeAll);
  for (const client of [reading, subscriber]) {
    // What was told while a connection was lost is asked for.
    client.on('ready', () => [...waiters.keys()].forEach(look));
  }
  return { reading, subscriber, look };
}

/** Creates what waits for results of jobs. */
export function createResultFeed(duplicate: () => Redis, prefix: string) {
  const waiters = new Map<string, Set<Waiter>>();
  let open: ReturnType<typeof openConnections> | undefined;

  const wait = async (queue: string, jobId: string, timeoutMs: number): Promise<string | undefined> => {
    const key = resultKey(prefix, queue, jobId);
    open ??= openConnections(duplicate, waiters);
    const { reading, subscriber, look } = open;
    const group = waiters.get(key) ?? new Set();
    let timer: NodeJS.Timeout | undefined;
    let waiter: Waiter | undefined;
    const told = new Promise<string | undefined>((wake, fail) => {
      waiter = { wake, fail };
      const lookOnce = () => {
        timer = setTimeout(() => wake(undefined), lastLookMs);
        reading.get(key).then(
          (stored) => wake(stored ?? undefined),
          () => {},
        );
      };
      timer = setTimeout(lookOnce, timeoutMs);
      waiters.set(key, group.add(waiter));
    });
    look(key);
    try {
      return await told;
    } finally {
      clearTimeout(timer);
      if (waiter) group.delete(waiter);
      if (group.size === 0 && waiters.delete(key)) subscriber.unsubscribe(key).catch(() => {});
    }
  };

  return {
    wait,
    /** Ends all waits with this error. */
    close(error: IsletError) {
      for (const group of waiters.values()) for (const { fail } of group) fail(error);
      open?.reading.disconnect();
      open?.subscriber.disconnect();
    },
  };
}
