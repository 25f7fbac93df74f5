import { setTimeout } from 'node:timers/promises';
import { JobScheduler, type RepeatOptions } from 'bullmq';
import type { Redis } from 'ioredis';
import type { FetchedJob, JobBackend } from './job-backend.ts';
import { bullmqQueue } from './keys.ts';

const mostTries = 10;
const againMs = 1_000;

/**
 * Creates what goes on with the schedulers that a plain BullMQ program has set up: as in BullMQ's own worker, the next
 * job of a scheduler is made when the last one starts, and only once, however often that one runs.
 */
export function createSchedulers(client: Redis, place: { prefix: string; queue: string }, backend: JobBackend) {
  let schedulers: JobScheduler | undefined;
  const open = () => {
    const { name, prefix } = bullmqQueue(place.queue, place);
    return new JobScheduler(name, { connection: client, prefix }, () => backend);
  };
  return {
    async makeNext({ id, name, data, opts, repeatJobKey }: FetchedJob): Promise<void> {
      const { repeat } = opts as { repeat?: RepeatOptions };
      if (repeatJobKey === undefined || repeat === undefined) return;
      schedulers ??= open();
      const once = { override: false, producerId: id };
      for (let tries = 1; ; tries++) {
        try {
          await schedulers.upsertJobScheduler(repeatJobKey, repeat, name, JSON.parse(data), opts, once);
          return;
        } catch (error) {
          // Without a next job the scheduler would have ended for good.
          if (tries === mostTries) throw error;
          await setTimeout(againMs);
        }
      }
    },
  };
}
