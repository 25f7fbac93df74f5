import type { Case } from '../case.ts';
import { concurrency } from './concurrency.ts';
import { enqueue } from './enqueue.ts';
import { islands } from './islands.ts';
import { load } from './load.ts';
import { noop } from './noop.ts';
import { pools } from './pools.ts';
import { size } from './size.ts';
import { start } from './start.ts';
import { supervisor } from './supervisor.ts';
import { idleTraffic, jobTraffic } from './traffic.ts';
import { trickle } from './trickle.ts';

export const allCases: readonly Case[] = [
  load,
  noop,
  concurrency,
  trickle,
  enqueue,
  idleTraffic,
  jobTraffic,
  start,
  islands,
  pools,
  supervisor,
  size,
];

export const caseNames = allCases.map(({ name }) => name);
