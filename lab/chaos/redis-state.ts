import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { jobFields, keyNames } from '../../src/broker/bullmq-names.ts';
import { placeOf, queueKey } from '../../src/broker/keys.ts';
import type { RedisProcess } from '../kit/redis.ts';
import { ledgerBytes } from './ledger.ts';

const pollEveryMs = 500;
const stuckAfterMs = 60_000;
/** There has to be a limit: jobs that run over and over make progress, too. */
const settleLimitMs = 300_000;
const chunkSize = 1_000;

export const queue = 'chaos';
export const prefix = 'chaos';

export const key = (name: string) => queueKey(placeOf({ name: queue }, prefix), name);

/** Waits until the queue is empty, or nothing has happened for a minute, or five minutes are over. */
export async function untilSettled(redis: RedisProcess, ledgerFolder: string, halted: AbortSignal): Promise<void> {
  await redis.ask(async (client) => {
    let last = { seen: '', at: Date.now() };
    const deadline = Date.now() + settleLimitMs;
    while (!halted.aborted && Date.now() < deadline) {
      const left = await countLeft(client);
      const seen = `${left} ${ledgerBytes(ledgerFolder)}`;
      if (seen !== last.seen) last = { seen, at: Date.now() };
      if (left === 0 || Date.now() - last.at > stuckAfterMs) return;
      await sleep(pollEveryMs);
    }
  });
}

async function countLeft(client: Redis): Promise<number> {
  const counts = await Promise.all([
    ...[keyNames.wait, keyNames.active, keyNames.paused].map((name) => client.llen(key(name))),
    ...[keyNames.delayed, keyNames.prioritized].map((name) => client.zcard(key(name))),
  ]);
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Reads which jobs Redis holds: the failed ones with their reasons, and those that have not ended. */
export async function readJobs(redis: RedisProcess, ids: readonly string[]) {
  return redis.ask(async (client) => {
    const failed = new Map<string, string>();
    for (const id of await client.zrange(key(keyNames.failed), '0', '-1')) {
      failed.set(id, (await client.hget(key(id), jobFields.failedReason)) ?? '');
    }
    // A foreign job may say that it is to be kept.
    const completed = new Set(await client.zrange(key(keyNames.completed), '0', '-1'));
    const held = new Set<string>();
    for (let start = 0; start < ids.length; start += chunkSize) {
      const chunk = ids.slice(start, start + chunkSize).filter((id) => !failed.has(id) && !completed.has(id));
      const found = await Promise.all(chunk.map((id) => client.exists(key(id))));
      for (const id of chunk.filter((_, at) => found[at] === 1)) held.add(id);
    }
    return { failed, held };
  });
}
