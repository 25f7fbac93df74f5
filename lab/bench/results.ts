import type { Metric } from './case.ts';
import type { Machine } from './machine.ts';
import type { Mark } from './marks.ts';
import type { Figure } from './stats.ts';

export interface EntryResult {
  readonly key: string;
  readonly name: string;
  readonly figures: Readonly<Record<string, Figure>>;
}

export interface CaseResult {
  readonly name: string;
  readonly title: string;
  readonly about: string;
  readonly base: string;
  readonly metrics: Readonly<Record<string, Metric>>;
  readonly entries: readonly EntryResult[];
}

/** The content of lab/bench/results.json. */
export interface Results {
  /** When the run started. */
  readonly date: string;
  readonly commit: string;
  readonly quick: boolean;
  readonly rounds: number;
  readonly minutes: number;
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
  readonly failures: readonly string[];
  readonly cases: readonly CaseResult[];
  readonly marks: readonly Mark[];
}

/** Finds a figure by case, entry and metric. Returns undefined when it was not measured. */
export function findFigure(cases: readonly CaseResult[], name: string, key: string, metric: string) {
  return cases.find((one) => one.name === name)?.entries.find((one) => one.key === key)?.figures[metric];
}
