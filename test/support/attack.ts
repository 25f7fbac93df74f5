import fc from 'fast-check';

/** Half of the cases are the same in each run, so that a change is judged by what the last one was; half are new. */
const seeds = () => [1, Number(process.env.ISLET_SEED)];

/** How long a case that fails is made smaller, in milliseconds. */
const shrinkMs = 15_000;

export interface Attack<Value> {
  /** How many values are tried. */
  readonly cases: number;
  /** How many of them are under way at a time. Default: 1. */
  readonly atOnce?: number;
  readonly values: fc.Arbitrary<Value>;
  /** Returns what is wrong when this value is met, or nothing. */
  attempt(value: Value): Promise<string | undefined> | string | undefined;
  /** Puts right what a failed attempt may have left behind. */
  recover?(): Promise<void>;
  /** Looks again, one by one, at the values that were under way when something was seen that one of them may have done. */
  readonly doubts?: {
    /** Returns when it was, by performance.now(). */
    time(): readonly [from: number, to: number] | undefined;
    attempt(value: Value): Promise<string | undefined>;
  };
}

/** Tries random values. Throws the smallest one that fails, what is wrong with it, and the seed that brings it again. */
export async function attack<Value>({ cases, atOnce = 1, ...rest }: Attack<Value>): Promise<void> {
  for (const seed of seeds()) {
    const values = fc.sample(rest.values, { seed, numRuns: Math.ceil(cases / 2) });
    const { failed, tried } = await tryAll(values, atOnce, rest.attempt);
    if (failed) throw new Error((await explain(seed, failed, rest)).text);
    const { doubts } = rest;
    if (!doubts) continue;
    const suspects = findSuspects(tried, doubts.time());
    const guilty = await tryAll(suspects, 1, ({ value }) => doubts.attempt(value));
    if (!guilty.failed) continue;
    const { text, again } = await explain(seed, { ...guilty.failed, ...guilty.failed.value }, { ...rest, ...doubts });
    // What it does, it does each time.
    if (again) throw new Error(text);
  }
}

interface Failed<Value> {
  index: number;
  value: Value;
  problem: string;
}

interface Tried<Value> {
  index: number;
  value: Value;
  from: number;
  to: number;
}

/** Tries the values, so many at a time, until one fails. */
async function tryAll<Value>(values: readonly Value[], atOnce: number, attempt: Attack<Value>['attempt']) {
  const tried: Tried<Value>[] = [];
  let next = 0;
  let failed: Failed<Value> | undefined;
  const tryOn = async () => {
    while (next < values.length && !failed) {
      const index = next++;
      const value = values[index] as Value;
      const from = performance.now();
      const problem = await attempt(value);
      tried.push({ index, value, from, to: performance.now() });
      if (problem !== undefined) failed ??= { index, value, problem };
    }
  };
  await Promise.all(Array.from({ length: atOnce }, tryOn));
  return { tried, failed };
}

function findSuspects<Value>(tried: readonly Tried<Value>[], time: readonly [number, number] | undefined) {
  return time === undefined ? [] : tried.filter(({ from, to }) => from <= time[1] && to >= time[0]);
}

/** Makes a value that fails smaller for as long as it fails alone, and tells what is left of it, and whether it failed again. */
async function explain<Value>(
  seed: number,
  failed: Failed<Value>,
  { values, attempt, recover }: Pick<Attack<Value>, 'values' | 'attempt' | 'recover'>,
): Promise<{ text: string; again: boolean }> {
  let { problem } = failed;
  const property = fc.asyncProperty(values, async (value) => {
    await recover?.();
    const found = await attempt(value);
    problem = found ?? problem;
    return found === undefined;
  });
  const path = String(failed.index);
  const limits = { numRuns: 1, interruptAfterTimeLimit: shrinkMs };
  const { counterexample } = await fc.check(property, { seed, path, ...limits });
  const [smallest] = counterexample ?? [failed.value];
  const how = counterexample ? 'made smaller' : 'which fails only beside the values before it';
  const text = `${problem}\nValue (${how}): ${fc.stringify(smallest)}\nIt is case ${path} of ISLET_SEED=${seed}.`;
  return { text, again: counterexample !== null };
}
