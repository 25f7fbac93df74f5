import { groupBy } from '../group-by.ts';
import type { GuardLocks } from '../guard/block-locks.ts';
import type { HeldLock } from '../guard/guard-table.ts';
import { connectOnce, createClient } from './connection.ts';
import { defineScript, runScript } from './lua.ts';
import { explainRedisError } from './refusals.ts';

const limitMs = 5_000;

// PEXPIRE and not SET: a full Redis refuses SET, and a lock that is gone must not come back.
const extend = defineScript()`
  for i, key in ipairs(KEYS) do
    if redis.call('GET', key) == ARGV[2 * i - 1] then
      redis.call('PEXPIRE', key, ARGV[2 * i])
    end
  end
`;

/** Groups locks by their queues, whose keys are in several slots of a cluster. */
function byQueue(locks: readonly HeldLock[]): HeldLock[][] {
  return [...groupBy(locks, ({ workersKey }) => workersKey).values()];
}

/** Connects for the time of one block. A command that hangs is given up after 5 s, when the next one is due. */
export async function openLocks(url: string): Promise<GuardLocks> {
  const client = createClient(url, { maxRetriesPerRequest: 0, commandTimeout: limitMs, connectTimeout: limitMs });
  await connectOnce(client, url, limitMs);
  const all = async (work: Promise<unknown>[]) => {
    await Promise.all(work).catch((error) => {
      throw explainRedisError(url, error);
    });
  };
  const extendGroup = (group: readonly HeldLock[]) => {
    const keys = group.map(({ key }) => key);
    const args = group.flatMap(({ token, durationMs }) => [token, durationMs]);
    return runScript(client, extend, keys, args);
  };
  return {
    extend: (locks) => all(byQueue(locks).map(extendGroup)),
    note(what, locks) {
      const oneOfEach = new Map(locks.map((lock) => [lock.workersKey, lock])).values();
      const noted = Array.from(oneOfEach, ({ workersKey, workerId, jobId }) =>
        client.hset(workersKey, `${workerId}:${what}`, what === 'culprit' ? jobId : Date.now()),
      );
      return all(noted);
    },
    close: () => client.disconnect(),
  };
}
