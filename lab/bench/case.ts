import type { Api } from './api.ts';
import type { Contender } from './contenders/contender.ts';
import type { Sizes } from './sizes.ts';

/** The figures of one run of one entry, by the metric's key. */
export type Sample = Readonly<Record<string, number>>;

export interface Metric {
  readonly label: string;
  readonly unit: string;
  readonly better: 'less' | 'more';
}

/** One of the things that stand side by side in a case. */
export interface Entry {
  readonly key: string;
  readonly name: string;
  run(): Promise<Sample>;
}

/** Makes an entry of each contender. */
export function entriesOf(contenders: readonly Contender[], run: (contender: Contender) => Promise<Sample>): Entry[] {
  return contenders.map((contender) => ({ key: contender.key, name: contender.name, run: () => run(contender) }));
}

export interface Bench {
  readonly sizes: Sizes;
  readonly contenders: readonly Contender[];
  readonly api: Api;
  /** Notes what cannot be measured here, and why. */
  skip(name: string, reason: string): void;
}

export interface Case {
  readonly name: string;
  readonly title: string;
  /** The key of the entry that the others are compared with. */
  readonly base: string;
  readonly metrics: Readonly<Record<string, Metric>>;
  /** Whether all entries of a round run at once. This suits what only waits and does not disturb the others. */
  readonly together?: boolean;
  /** Describes what was done, with its sizes. */
  about(sizes: Sizes): string;
  entries(bench: Bench): readonly Entry[] | Promise<readonly Entry[]>;
}
