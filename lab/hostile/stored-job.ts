import fc from 'fast-check';
import { character } from './arbitraries.ts';

/** A job as a foreign program wrote it into Redis: what its key holds, and under which id the queue lists it. */
export interface StoredJob {
  readonly id: string;
  readonly key: 'hash' | 'missing' | 'text' | 'list';
  readonly fields: Readonly<Record<string, string>>;
}

const oneOf = <T>(...values: readonly T[]) => fc.constantFrom(...values);

/** Texts where a whole number is expected. */
const numbers = oneOf(
  '0',
  '1',
  '',
  'abc',
  '-1',
  '0.5',
  '1e30',
  '-1e30',
  'NaN',
  'Infinity',
  '9'.repeat(30),
  '1 2',
  '0x10',
);

/** Texts where JSON is expected; most are none, or of the wrong shape. */
const json = fc.oneof(
  oneOf('', '{', 'null', '5', '"x"', '[]', '[1]', 'true', '{}', '{"__proto__":{"a":1}}', 'undefined', "{'a':1}"),
  oneOf('[', '{"a":').map((text) => text.repeat(200_000)),
  oneOf(1_000, 100_000).map((levels) => '['.repeat(levels) + ']'.repeat(levels)),
  fc.json({ maxDepth: 2 }),
);

const odd = oneOf<unknown>(
  null,
  '',
  'abc',
  -1,
  0,
  1,
  0.5,
  1e30,
  [],
  [1],
  {},
  { age: 'x' },
  { count: -1 },
  true,
  '1e30',
);

/** Options of BullMQ's and Islet's with values that nobody may give them. */
const options = fc
  .record(
    {
      attempts: odd,
      backoff: odd,
      delay: odd,
      priority: odd,
      timestamp: odd,
      removeOnComplete: odd,
      removeOnFail: odd,
      keepLogs: odd,
      repeat: odd,
      parent: odd,
      jobId: odd,
      deduplication: odd,
      fpof: odd,
      kl: odd,
      islet: fc.oneof(
        odd,
        fc.record({ version: odd, keepResultMs: odd, meta: odd }, { requiredKeys: [], noNullPrototype: true }),
      ),
    },
    { requiredKeys: [], noNullPrototype: true },
  )
  .map((given) => JSON.stringify(given));

const times = oneOf('', ' ', 'x', '1e30', '1 x 2', '-1', '1 '.repeat(5_000));
const crashes = oneOf(
  '',
  'x',
  ',,',
  '1e30,a,culprit',
  'x,y,z 1',
  '1,a,suspect '.repeat(100),
  '1700000000000,a,expired',
);

/** The fields that BullMQ and Islet read in a job's hash, each with what may be wrong with it. */
const corrupt = {
  data: json,
  opts: fc.oneof(options, json),
  progress: json,
  timestamp: numbers,
  delay: numbers,
  priority: numbers,
  ats: numbers,
  atm: numbers,
  stc: numbers,
  processedOn: numbers,
  finishedOn: numbers,
  pb: oneOf('', 'nobody', 'a:b'),
  failedReason: oneOf('', 'E_NONE', 'x'.repeat(10_000)),
  defa: oneOf('', 'it is to fail'),
  stacktrace: json,
  returnvalue: json,
  parent: json,
  parentKey: oneOf('', 'x', 'a:b:c', 'bull:{other}:1'),
  rjk: oneOf('', 'x', 'a:b'),
  deid: oneOf('', 'x'),
  'i:started': oneOf('', 'x', 'a:b'),
  'i:releases': times,
  'i:crashes': crashes,
  'i:cancel': oneOf('', 'x'),
  'i:unknown': numbers,
  'i:settled': numbers,
  'i:nothing': json,
};

/** Names of tasks that no app has, some of which plain objects have. */
const foreignNames = oneOf(
  '',
  'no-such-task',
  '__proto__',
  'constructor',
  'toString',
  'x'.repeat(2_000),
  '\u{1f511}',
  'a b',
);

/** Makes jobs that are listed in a queue, most of them with some fields that are corrupt. `names` are tasks of the app. */
export function storedJobs(names: readonly string[], data: string): fc.Arbitrary<StoredJob> {
  const name = fc.oneof({ arbitrary: oneOf(...names), weight: 5 }, { arbitrary: foreignNames, weight: 1 });
  const wrong = fc
    .record(corrupt, { requiredKeys: [], noNullPrototype: true })
    .chain((fields) => fc.subarray(Object.keys(fields), { maxLength: 3 }).map((keys) => pick(fields, keys)));
  return fc.record(
    {
      id: fc.tuple(fc.string({ unit: character, maxLength: 6 }), fc.uuid()).map(([start, end]) => `${start}${end}`),
      key: fc.oneof(
        { arbitrary: fc.constant('hash' as const), weight: 30 },
        { arbitrary: oneOf('missing' as const, 'text' as const, 'list' as const), weight: 1 },
      ),
      fields: fc.tuple(name, wrong).map(([task, fields]) => {
        return { name: task, data, opts: '{}', timestamp: '1700000000000', delay: '0', priority: '0', ...fields };
      }),
    },
    { noNullPrototype: true },
  );
}

function pick(fields: Readonly<Record<string, string>>, keys: readonly string[]): Record<string, string> {
  return Object.fromEntries(keys.map((key) => [key, fields[key] ?? '']));
}
