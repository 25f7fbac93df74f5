import type { Redis } from 'ioredis';
import { hidePasswords, IsletError } from '../errors.ts';

async function readSetting(client: Redis, name: string): Promise<string> {
  const [, value] = (await client.config('GET', name)) as string[];
  if (value === undefined) throw new Error(`Redis does not report its ${name}`);
  return value;
}

/**
 * Checks the settings of Redis, and returns notices for the log. Throws `E_REDIS_EVICTS` when Redis may drop jobs and
 * that is not allowed.
 */
export async function checkRedisSettings(
  client: Redis,
  url: string,
  { allowEviction = false, mayForget = false }: { allowEviction?: boolean; mayForget?: boolean },
): Promise<string[]> {
  const names = ['maxmemory-policy', 'appendonly', 'save'];
  const settings = await Promise.all(names.map((name) => readSetting(client, name))).catch(() => undefined);
  if (!settings)
    return ['Redis hides its settings (CONFIG): make sure that maxmemory-policy is noeviction and that it persists.'];
  const [policy, appendOnly, save] = settings;
  const notices: string[] = [];
  if (policy !== 'noeviction') {
    const seen = `maxmemory-policy "${policy}": it drops jobs when it is full.`;
    const advice = 'Set it to noeviction, or start with --allow-eviction.';
    if (!allowEviction) throw new IsletError('E_REDIS_EVICTS', `Redis at ${hidePasswords(url)} has ${seen} ${advice}`);
    notices.push(`Redis has ${seen}`);
  }
  if (appendOnly !== 'yes' && !save && !mayForget)
    notices.push('Redis does not persist (appendonly no, no save): all jobs are lost when it restarts.');
  return notices;
}
