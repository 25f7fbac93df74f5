import { openAppFolder } from '../app/folder-app.ts';
import { connectOnce, createClient } from '../broker/connection.ts';
import { placeOf, type QueuePlace } from '../broker/keys.ts';
import { QueueHandle } from '../broker/queue-handle.ts';
import { explainRedisError } from '../broker/refusals.ts';
import type { IsletConfig } from '../config.ts';
import { IsletError } from '../errors.ts';
import { type JobSample, sampleJobs } from '../inspect/sample-jobs.ts';
import type { Removal } from '../tools/scaffold/destroy.ts';
import type { Surroundings } from './main.ts';
import { openRedis } from './open-redis.ts';

/** How long a look may take in all, in milliseconds. */
const limitMs = 2_000;

/** Reads the settings from what is there; compiling the app is the last resort. */
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

async function sampleAt(url: string, place: QueuePlace, isWanted: (name: string) => boolean) {
  // By default the client holds the process for 2 seconds after a connection that failed.
  const client = createClient(url, { retryStrategy: () => null, disconnectTimeout: 50 });
  let timer: NodeJS.Timeout | undefined;
  // The client's own time-out of commands would not do: its timers outlive the client, and so would the command.
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${limitMs} ms`)), limitMs);
  });
  try {
    const look = async () => {
      await connectOnce(client, url, limitMs);
      return sampleJobs(new QueueHandle(client, place), isWanted);
    };
    return await Promise.race([look(), late]);
  } catch (error) {
    throw error instanceof IsletError ? error : explainRedisError(url, error);
  } finally {
    clearTimeout(timer);
    client.disconnect();
  }
}

function describeSample({ kind, queue }: Removal, { total, looked, seen }: JobSample): string {
  const whose = kind === 'task' ? ' of this task' : '';
  if (total === 0) return `Jobs${whose} in Redis: none, queue "${queue}" is empty.`;
  const states = Object.entries(seen).map(([state, count]) => `${count} ${state}`);
  const found = states.length === 0 ? 'none' : states.join(', ');
  return `Jobs${whose} seen in Redis: ${found}. Looked at ${looked} of the ${total} in queue "${queue}".`;
}

/** The jobs that a look into Redis saw, and that a removal would leave behind. */
export interface Look {
  /** One line for people; it is there also when Redis could not be asked. */
  said: string;
  isSeen: boolean;
}

/** Looks for jobs of the task or queue that is to be removed, for 2 seconds at most. Never throws. */
export async function lookForJobs(removal: Removal, devRedis: boolean, surroundings: Surroundings): Promise<Look> {
  const { queue } = removal;
  if (queue === undefined) return { said: 'Redis was not asked: the manifest is broken.', isSeen: false };
  try {
    const config = await readSettings(surroundings);
    const redis = await openRedis(config, devRedis, surroundings.path);
    try {
      const isWanted = (name: string) => removal.jobNames?.includes(name) ?? true;
      const sample = await sampleAt(
        redis.url,
        placeOf({ name: queue, bullmq: removal.bullmq }, config.redis.prefix),
        isWanted,
      );
      return { said: describeSample(removal, sample), isSeen: Object.keys(sample.seen).length > 0 };
    } finally {
      await redis.close();
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { said: `It is not known whether Redis has jobs of it: ${why}`, isSeen: false };
  }
}
