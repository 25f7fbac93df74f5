import type { Redis } from 'ioredis';
import type { StoredJob } from './stored-job.ts';

/** Lists a job in a queue as the last one, as a foreign program would; `key` names the queue's keys. */
export async function writeStoredJob(redis: Redis, key: (name: string) => string, job: StoredJob): Promise<void> {
  const commands = redis.multi();
  if (job.key === 'hash') commands.hset(key(job.id), job.fields);
  if (job.key === 'text') commands.set(key(job.id), 'a text');
  if (job.key === 'list') commands.rpush(key(job.id), 'a list');
  commands.lpush(key('wait'), job.id).zadd(key('marker'), 0, '0');
  await commands.exec();
}
