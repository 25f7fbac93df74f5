import { faultKinds } from '../chaos/schedule.ts';

export const groups = ['chaos', 'bench', 'bullmq', 'nodes'] as const;
export type Group = (typeof groups)[number];

/** One proof: an npm script with its flags, which passes when it exits with 0. */
export interface Step {
  readonly name: string;
  readonly group: Group;
  readonly script: string;
  readonly flags: readonly string[];
}

const seeds = [1, 2, 3, 4, 5];

/** Lists the proofs of the groups, in the order in which they run. */
export function listSteps(chosen: readonly Group[]): Step[] {
  const chaos = (name: string, ...flags: string[]): Step => {
    return { name: `chaos-${name}`, group: 'chaos', script: 'chaos', flags: [...flags, '--json'] };
  };
  const all: Step[] = [
    ...seeds.map((seed) => chaos(`seed-${seed}`, '--seed', `${seed}`, '--jobs', '10000')),
    ...faultKinds.map((kind) => chaos(kind, '--only', kind, '--jobs', '2000', '--seconds', '25')),
    { name: 'bench', group: 'bench', script: 'bench', flags: [] },
    { name: 'bullmq', group: 'bullmq', script: 'test:bullmq', flags: [] },
    { name: 'nodes', group: 'nodes', script: 'test:nodes', flags: [] },
  ];
  return all.filter(({ group }) => chosen.includes(group));
}
