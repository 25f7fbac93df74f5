import { messageOf } from '../kit/main.ts';
import { findRedis } from '../kit/redis.ts';
import { type Api, startApi } from './api.ts';
import type { Bench, Case, Entry, Sample } from './case.ts';
import { allCases } from './cases/all.ts';
import { findContenders } from './contenders/find-contenders.ts';
import { describeMachine, gitCommit, loadOfMinute } from './machine.ts';
import { judge } from './marks.ts';
import type { BenchOptions } from './options.ts';
import { stopPostgres } from './postgres.ts';
import type { CaseResult, EntryResult, Results } from './results.ts';
import { summarize } from './stats.ts';

interface Notes {
  readonly skipped: { name: string; reason: string }[];
  readonly failures: string[];
  notify(text: string): void;
}

export interface BenchHooks {
  notify(text: string): void;
  /** Called with each case as it is done. */
  onCase(result: CaseResult): void;
}

/** Runs the cases, and compares what they show with what they must. */
export async function runBench(options: BenchOptions, { notify, onCase }: BenchHooks): Promise<Results> {
  const { sizes, only } = options;
  const [date, startedAt, loadBefore] = [new Date().toISOString(), performance.now(), loadOfMinute()];
  const notes: Notes = { skipped: [], failures: [], notify };
  const skip = (name: string, reason: string) => {
    notes.skipped.push({ name, reason });
    notify(`Skipped: ${name}: ${reason}`);
  };
  const redis = await findRedis();
  let api: Api | undefined;
  try {
    const { contenders, versions } = await findContenders(options, { skip, notify });
    api = await startApi();
    const bench: Bench = { sizes, contenders, api, skip };
    const cases: CaseResult[] = [];
    const chosen = allCases.filter(({ name }) => only === undefined || only.includes(name));
    for (const [at, one] of chosen.entries()) {
      // Each case has the same share of the time, and leaves to the next ones what it does not use.
      const until =
        startedAt + (((sizes.budgetSeconds ?? Number.POSITIVE_INFINITY) * (at + 1)) / chosen.length) * 1_000;
      const result = await runCase(one, bench, notes, until);
      cases.push(result);
      onCase(result);
    }
    return {
      date,
      commit: gitCommit(),
      quick: sizes.quick,
      rounds: sizes.rounds,
      minutes: (performance.now() - startedAt) / 60_000,
      machine: describeMachine(loadBefore),
      versions: { node: process.version, redis: redis.version, ...versions },
      skipped: notes.skipped,
      failures: notes.failures,
      cases,
      marks: judge(cases),
    };
  } finally {
    api?.close();
    await stopPostgres();
  }
}

/** Runs all entries once in each round, each round beginning with another, so that none always has the best place. */
async function runCase(one: Case, bench: Bench, notes: Notes, until: number): Promise<CaseResult> {
  const { name, title, base, metrics } = one;
  const entries = await one.entries(bench);
  const samples = new Map<Entry, Sample[]>(entries.map((entry) => [entry, []]));
  const run = async (entry: Entry) => {
    try {
      samples.get(entry)?.push(await entry.run());
    } catch (error) {
      notes.failures.push(`${name}, ${entry.name}: ${messageOf(error)}`);
      notes.notify(`FAILED: ${notes.failures.at(-1)}`);
    }
  };
  for (let round = 0; round < bench.sizes.rounds && (round === 0 || performance.now() < until); round++) {
    notes.notify(`${name}: round ${round + 1} of ${bench.sizes.rounds}`);
    const turn = entries.length === 0 ? 0 : round % entries.length;
    const order = [...entries.slice(turn), ...entries.slice(0, turn)];
    if (one.together) await Promise.all(order.map(run));
    else for (const entry of order) await run(entry);
  }
  const results = entries.flatMap((entry) => summarizeEntry(entry, samples.get(entry) ?? []));
  return { name, title, about: one.about(bench.sizes), base, metrics, entries: results };
}

function summarizeEntry({ key, name }: Entry, samples: readonly Sample[]): EntryResult[] {
  const [first] = samples;
  if (first === undefined) return [];
  const figures = Object.keys(first).map((metric) => [
    metric,
    summarize(samples.map((sample) => sample[metric] ?? Number.NaN)),
  ]);
  return [{ key, name, figures: Object.fromEntries(figures) }];
}
