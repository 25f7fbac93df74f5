import type { Api } from './api.ts';
import type { Contender } from './contenders/contender.ts';
import type { Sizes } from './sizes.ts';

/** What one run of one entry has measured, by the metric's key. */
export type Sample = Readonly<Record<string, number>>;

export interface Metric {
  readonly label: string;
  readonly unit: string;
  readonly better: 'less' | 'more';
}

/** What stands side by side in a case. */
export interface Entry {
  readonly key: string;
  readonly name: string;
  run(): Promise<Sample>;
}

export interface Bench {
  readonly sizes: Sizes;
  readonly contenders: readonly Contender[];
  readonly api: Api;
  /** For what cannot be measured here, and why. */
  skip(name: string, reason: string): void;
}

export interface Case {
  readonly name: string;
  readonly title: string;
  /** The entry that the others' ratios are of. */
  readonly base: string;
  readonly metrics: Readonly<Record<string, Metric>>;
  /** All entries of a round at once: for what only waits, so that they do not disturb each other. */
  readonly together?: boolean;
  /** What was done, with its sizes. */
  about(sizes: Sizes): string;
  entries(bench: Bench): readonly Entry[] | Promise<readonly Entry[]>;
}
