import type { BenchOptions } from '../options.ts';
import { bullmqContenders } from './bullmq.ts';
import type { Contender } from './contender.ts';
import { isletContenders } from './islet.ts';

interface Found {
  contenders: Contender[];
  versions: Record<string, string>;
}

interface Hooks {
  skip(name: string, reason: string): void;
  notify(text: string): void;
}

/** Prepares those who take part. What cannot be had here is skipped with a word; Islet and bare BullMQ must be there. */
export async function findContenders({ sizes, contenders: wanted }: BenchOptions, { notify }: Hooks): Promise<Found> {
  const newestNode = undefined;
  notify('Building a worker of Islet.');
  const all = [...(await isletContenders(newestNode)), ...bullmqContenders(newestNode)];
  const contenders = all.filter(({ key, quick }) => (wanted ? wanted.includes(key) : quick || !sizes.quick));
  return { contenders, versions: Object.assign({}, ...contenders.map(({ versions }) => versions)) };
}
