import type { Redis } from 'ioredis';
import { resultKey } from '../broker/keys.ts';
import type { StoredResult } from '../broker/settle.ts';
import { IsletError, TaskFailedError } from '../errors.ts';
import type { AnyTask } from '../manifest/define-task.ts';
import { parseResult } from '../manifest/parse-payload.ts';

export interface ResultReader {
  read(job: { id: string; task: string; queue: string }, manifest: AnyTask, timeoutMs: number): Promise<unknown>;
  close(): Promise<void>;
}

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

async function toResult(job: { id: string }, manifest: AnyTask, json: string): Promise<unknown> {
  const stored = JSON.parse(json) as StoredResult;
  if (!stored.ok) throw new TaskFailedError(job.id, stored);
  return parseResult(manifest, stored.result);
}

/** Creates what waits for results: it subscribes to the job's own channel, then reads, so that none slips between. */
export function createResultReader(duplicate: () => Redis, prefix: string): ResultReader {
  const waiters = new Map<string, Set<Waiter>>();
  let open: ReturnType<typeof openConnections> | undefined;

  const wait = async (key: string, timeoutMs: number): Promise<string | undefined> => {
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
    async read(job, manifest, timeoutMs) {
      const json = await wait(resultKey(prefix, job.queue, job.id), timeoutMs);
      if (json) return toResult(job, manifest, json);
      throw new IsletError(
        'E_RESULT_TIMEOUT',
        `Job "${job.id}" of task "${job.task}" has no result after ${timeoutMs} ms. It may still wait or run: ` +
          `check that a worker of queue "${job.queue}" runs, or wait longer.`,
      );
    },
    async close() {
      open?.reading.disconnect();
      open?.subscriber.disconnect();
    },
  };
}
