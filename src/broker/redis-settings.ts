import type { Redis } from 'ioredis';
import { IsletError } from '../errors.ts';
import { describeRedis } from './connection.ts';

async function readSetting(client: Redis, name: string): Promise<string> {
  const [, value] = (await client.config('GET', name)) as string[];
  if (value === undefined) throw new Error(`Redis does not tell its ${name}`);
  return value;
}

/**
 * Looks whether this Redis can lose jobs by its settings. Throws `E_REDIS_EVICTS` when it may drop keys to make room,
 * unless that is allowed; returns what else the operator has to know.
 */
export async function checkRedisSettings(
  client: Redis,
  url: string,
  { allowEviction = false, mayForget = false }: { allowEviction?: boolean; mayForget?: boolean },
): Promise<string[]> {
  let policy: string | undefined;
  let persists: boolean;
  try {
    policy = await readSetting(client, 'maxmemory-policy');
    const [appendOnly, save] = [await readSetting(client, 'appendonly'), await readSetting(client, 'save')];
    persists = appendOnly === 'yes' || Boolean(save);
  } catch {
    return ['Redis hides its settings (CONFIG): make sure that maxmemory-policy is noeviction and that it persists.'];
  }
  const evicts = policy !== undefined && policy !== 'noeviction';
  if (evicts && !allowEviction) {
    const what = `Redis at ${describeRedis(url)} has maxmemory-policy "${policy}": when it is full it drops jobs.`;
    throw new IsletError('E_REDIS_EVICTS', `${what} Set it to noeviction, or start with --allow-eviction.`);
  }
  return [
    ...(evicts ? [`Redis has maxmemory-policy "${policy}": when it is full it drops jobs.`] : []),
    ...(persists || mayForget
      ? []
      : ['Redis does not persist (appendonly no, no save): a restart of it loses all jobs.']),
  ];
}
