import type { Redis } from 'ioredis';
import { resultKey } from './keys.ts';

type Waiter = (stored: string) => void;

/** Two connections, opened at the first wait: a subscribed one can read nothing else. */
function openConnections(duplicate: () => Redis, waiters: Map<string, Set<Waiter>>) {
  const reading = duplicate();
  const subscriber = duplicate();
  for (const client of [reading, subscriber]) client.on('error', () => {});
  subscriber.on('message', (channel: string, stored: string) => {
    for (const wake of waiters.get(channel) ?? []) wake(stored);
  });
  return { reading, subscriber };
}

/** Creates what waits for results: it subscribes to the job's own channel, then reads, so that none slips between. */
export function createResultFeed(duplicate: () => Redis, prefix: string) {
  const waiters = new Map<string, Set<Waiter>>();
  let open: ReturnType<typeof openConnections> | undefined;

  const wait = async (queue: string, jobId: string, timeoutMs: number): Promise<string | undefined> => {
    const key = resultKey(prefix, queue, jobId);
    open ??= openConnections(duplicate, waiters);
    const { reading, subscriber } = open;
    let timer: NodeJS.Timeout | undefined;
    let wake: Waiter = () => {};
    const told = new Promise<string | undefined>((resolve) => {
      wake = resolve;
      timer = setTimeout(() => resolve(undefined), timeoutMs);
    });
    const group = waiters.get(key) ?? new Set();
    waiters.set(key, group.add(wake));
    const look = subscriber.subscribe(key).then(() => reading.get(key));
    look.then((found) => found && wake(found)).catch(() => {});
    try {
      return await told;
    } finally {
      clearTimeout(timer);
      group.delete(wake);
      if (group.size === 0 && waiters.delete(key)) subscriber.unsubscribe(key).catch(() => {});
    }
  };

  return {
    wait,
    close() {
      open?.reading.disconnect();
      open?.subscriber.disconnect();
    },
  };
}
