import { openAppFolder } from '../app/folder-app.ts';
import { connectOnce, createClient, explainRedisError } from '../broker/connection.ts';
import { type JobSample, sampleJobs } from '../broker/sample-jobs.ts';
import type { IsletConfig } from '../config.ts';
import { IsletError } from '../errors.ts';
import type { Removal } from '../scaffold/destroy.ts';
import type { Surroundings } from './main.ts';
import { openRedis } from './open-redis.ts';

/** How long, in milliseconds, a look may take in all. */
const limitMs = 2_000;

/** The settings, from compiled code where there is some; compiling is the last resort. */
async function readSettings({ compile }: Surroundings): Promise<IsletConfig> {
  try {
    return (await openAppFolder(process.cwd()).config()) as IsletConfig;
  } catch (error) {
    if (error instanceof IsletError && error.code === 'E_CONFIG_INVALID') throw error;
    const problem = compile();
    if (problem !== undefined) throw new Error(problem.split('\n').slice(0, 2).join(' '));
    return (await openAppFolder(process.cwd()).config()) as IsletConfig;
  }
}

async function sampleAt(url: string, prefix: string, queue: string, jobNames: string[] | undefined) {
  const client = createClient(url, { retryStrategy: () => null, commandTimeout: limitMs });
  try {
    const deadline = Date.now() + limitMs;
    await connectOnce(client, url, limitMs);
    client.on('error', () => {});
    client.options.commandTimeout = Math.max(1, deadline - Date.now());
    return await sampleJobs({ client, prefix, queue }, (name) => jobNames?.includes(name) ?? true);
  } catch (error) {
    throw error instanceof IsletError ? error : explainRedisError(url, error);
  } finally {
    client.disconnect();
  }
}

function describeSample({ kind, queue }: Removal, { total, looked, seen }: JobSample): string {
  const states = Object.entries(seen).map(([state, count]) => `${count} ${state}`);
  const extent = looked < total ? `a sample of ${looked} of the ${total}` : `all ${total}`;
  const count = Object.values(seen).reduce((sum, each) => sum + each, 0);
  const whose = kind === 'task' ? ' of this task' : '';
  const found = count === 0 ? 'none' : `${count} (${states.join(', ')})`;
  return `Jobs${whose} in Redis: ${found}, seen in ${extent} of queue "${queue}".`;
}

/** What a look into Redis saw of the jobs that a removal would leave behind. */
export interface Look {
  /** One line for people, also when Redis could not be asked. */
  said: string;
  isSeen: boolean;
}

/** Looks for jobs of what is to be removed, for 2 seconds at most once Redis is there. Never throws. */
export async function lookForJobs(removal: Removal, devRedis: boolean, surroundings: Surroundings): Promise<Look> {
  const { queue } = removal;
  if (queue === undefined) return { said: 'Redis was not asked: the manifest is broken.', isSeen: false };
  try {
    const config = await readSettings(surroundings);
    const redis = await openRedis(config, devRedis, surroundings.path);
    try {
      const sample = await sampleAt(redis.url, config.redis.prefix, queue, removal.jobNames);
      return { said: describeSample(removal, sample), isSeen: Object.keys(sample.seen).length > 0 };
    } finally {
      await redis.close();
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { said: `Whether jobs of it are in Redis is not known: ${why}`, isSeen: false };
  }
}
