import { messageOf } from '../../kit/main.ts';
import type { BenchOptions } from '../options.ts';
import { beeQueueContender } from './bee-queue.ts';
import { bullmqContenders } from './bullmq.ts';
import { celeryContenders } from './celery.ts';
import type { Contender } from './contender.ts';
import { graphileContender } from './graphile-worker.ts';
import { installNewestNode, pinned } from './install.ts';
import { isletContenders } from './islet.ts';

const newestKeys = ['islet-lean-newest', 'islet-throughput-newest', 'bullmq-newest', 'bullmq-log-newest'];

interface Found {
  contenders: Contender[];
  versions: Record<string, string>;
}

interface Hooks {
  skip(name: string, reason: string): void;
  notify(text: string): void;
}

/** Prepares those who take part. A contender that cannot be had here is skipped, except for Islet and bare BullMQ. */
export async function findContenders({ sizes, contenders: wanted }: BenchOptions, hooks: Hooks): Promise<Found> {
  const takesPart = (key: string) => (wanted === undefined ? !sizes.quick : wanted.includes(key));
  const optional = async <T>(name: string, keys: string[], prepare: () => Promise<T>): Promise<T | undefined> => {
    if (!keys.some(takesPart)) return undefined;
    hooks.notify(`Preparing ${name}.`);
    try {
      return await prepare();
    } catch (error) {
      hooks.skip(name, messageOf(error).trim());
      return undefined;
    }
  };
  const node = await optional('the newest Node', newestKeys, installNewestNode);
  hooks.notify('Building a worker of Islet.');
  const all: (Contender | undefined)[] = [
    ...(await isletContenders(node)),
    ...bullmqContenders(node),
    await optional('bee-queue', ['bee-queue'], beeQueueContender),
    await optional('graphile-worker', ['graphile-worker'], graphileContender),
    ...((await optional('Celery', ['celery-gevent', 'celery-prefork'], celeryContenders)) ?? []),
  ];
  const contenders = all.filter(
    (one): one is Contender => one !== undefined && ((sizes.quick && !wanted && one.quick) || takesPart(one.key)),
  );
  const versions = Object.assign({}, ...contenders.map((one) => one.versions));
  return { contenders, versions: node === undefined ? versions : { ...versions, 'newest Node': pinned.node } };
}
