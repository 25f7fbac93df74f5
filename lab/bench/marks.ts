import { type CaseResult, findFigure } from './results.ts';

export type Verdict = 'met' | 'MISSED' | 'reported' | 'not measured';

/** One thing that the benchmark must show, and the figure that it showed. */
export interface Mark {
  readonly what: string;
  /** A ratio, or a number in the unit that the text names. Undefined when it was not measured. */
  readonly figure: number | undefined;
  /** The limit for people, such as "<= 0.80". Empty where only the figure is asked for. */
  readonly mark: string;
  readonly verdict: Verdict;
}

/** Where a figure stands: case, entry, metric. */
type FigurePath = readonly [name: string, key: string, metric: string];

interface Rule {
  readonly what: string;
  readonly of: FigurePath;
  readonly against?: FigurePath;
  readonly atMost?: number;
  readonly atLeast?: number;
  /** Whether the figure is the difference to the other one, and not the ratio. */
  readonly difference?: boolean;
}

const peak = (key: string): FigurePath => ['load', key, 'peakRssMb'];
const drain = (key: string): FigurePath => ['load', key, 'drainSeconds'];
const anonymous = (key: string): FigurePath => ['load', key, 'peakAnonymousMb'];
const loadCpu = (key: string): FigurePath => ['load', key, 'cpuSeconds'];
const rate = (key: string): FigurePath => ['noop', key, 'jobsPerSecond'];
const cpu = (key: string): FigurePath => ['noop', key, 'cpuMicrosPerJob'];
const firstCpu = (key: string): FigurePath => ['noop', key, 'firstCpuMicros'];
const bare = 'bullmq';

/** The end of a contender's key, and what a rule says of it: Node 20 and the newest. */
const bothNodes = [
  ['', ''],
  ['-newest', ', newest Node'],
] as const;

/** The limits of CPU against bare BullMQ: with a log line per no-op job, and under the load. */
const cpuLimits = [
  { profile: 'throughput', noop: 1.15, load: 1.15 },
  { profile: 'lean', noop: 1.8, load: 1.4 },
] as const;

function cpuOfNoop([end, note]: (typeof bothNodes)[number]): Rule[] {
  return cpuLimits.flatMap(({ profile, noop: atMost }) =>
    [cpu, firstCpu].map((figure) => ({
      what: `CPU per no-op job${figure === firstCpu ? ' of the first 20,000' : ''}, ${profile} / bare with a log line${note}`,
      of: figure(`islet-${profile}${end}`),
      against: figure(`bullmq-log${end}`),
      atMost,
    })),
  );
}

function cpuOfLoad([end, note]: (typeof bothNodes)[number]): Rule[] {
  return cpuLimits.map(({ profile, load: atMost }) => ({
    what: `CPU of the load, ${profile} / bare BullMQ${note}`,
    of: loadCpu(`islet-${profile}${end}`),
    against: loadCpu(`${bare}${end}`),
    atMost,
  }));
}

const rules: readonly Rule[] = [
  { what: 'peak RSS under load, lean / bare BullMQ', of: peak('islet-lean'), against: peak(bare), atMost: 0.8 },
  {
    what: 'peak RSS under load, lean / bare BullMQ, newest Node',
    of: peak('islet-lean-newest'),
    against: peak('bullmq-newest'),
    atMost: 0.7,
  },
  { what: 'peak RSS under load, minimal / bare BullMQ', of: peak('islet-minimal'), against: peak(bare), atMost: 0.7 },
  {
    what: 'peak RSS under load, lean / Celery gevent (target 1.0)',
    of: peak('islet-lean'),
    against: peak('celery-gevent'),
  },
  {
    what: 'peak RSS under load, lean on the newest Node / Celery gevent (target 1.0)',
    of: peak('islet-lean-newest'),
    against: peak('celery-gevent'),
  },
  {
    what: 'peak RSS under load, minimal / Celery gevent (target 1.0)',
    of: peak('islet-minimal'),
    against: peak('celery-gevent'),
  },
  {
    what: 'RAM of one island with 100 in flight / one process that imports everything, 1 in flight',
    of: ['islands', 'island', 'peakRssMb'],
    against: ['islands', 'world', 'peakRssMb'],
    atMost: 0.37,
  },
  {
    what: 'the same / with its parent (BullMQ sandbox, as prefork)',
    of: ['islands', 'island', 'peakRssMb'],
    against: ['islands', 'world-parent', 'peakRssMb'],
    atMost: 0.37,
  },
  {
    what: 'PSS of one island with 100 in flight / 100 processes that import everything',
    of: ['islands', 'island', 'pssMb'],
    against: ['islands', 'world-slots', 'pssMb'],
  },
  {
    what: 'peak RSS, 1,000 in flight / 100 in flight, lean',
    of: ['concurrency', 'islet-lean@1000', 'peakRssMb'],
    against: ['concurrency', 'islet-lean@100', 'peakRssMb'],
    atMost: 1.6,
  },
  ...bothNodes.flatMap(cpuOfNoop),
  {
    what: 'no-op jobs/s, throughput / bare BullMQ without a log line, newest Node',
    of: rate('islet-throughput-newest'),
    against: rate('bullmq-newest'),
    atLeast: 0.95,
  },
  { what: 'no-op jobs/s, throughput / bare BullMQ', of: rate('islet-throughput'), against: rate(bare), atLeast: 0.9 },
  { what: 'no-op jobs/s, lean / bare BullMQ', of: rate('islet-lean'), against: rate(bare), atLeast: 0.55 },
  {
    what: 'no-op jobs/s, throughput / bare with a log line',
    of: rate('islet-throughput'),
    against: rate('bullmq-log'),
  },
  { what: 'no-op jobs/s, lean / bare with a log line', of: rate('islet-lean'), against: rate('bullmq-log') },
  {
    what: 'enqueue one by one, jobs/s, Islet / bare BullMQ',
    of: ['enqueue', 'islet', 'onePerSecond'],
    against: ['enqueue', bare, 'onePerSecond'],
    atLeast: 0.9,
  },
  {
    what: 'enqueue in bulk, jobs/s, Islet / bare BullMQ',
    of: ['enqueue', 'islet', 'bulkPerSecond'],
    against: ['enqueue', bare, 'bulkPerSecond'],
    atLeast: 1,
  },
  ...bothNodes.flatMap(cpuOfLoad),
  {
    what: 'jobs/s with 1,000 in flight, lean / bare BullMQ',
    of: ['concurrency', 'islet-lean@1000', 'jobsPerSecond'],
    against: ['concurrency', 'bullmq@1000', 'jobsPerSecond'],
    atLeast: 0.8,
  },
  {
    what: 'anonymous memory under load, lean / Celery gevent',
    of: anonymous('islet-lean'),
    against: anonymous('celery-gevent'),
    atMost: 0.7,
  },
  {
    what: 'anonymous memory under load, lean on the newest Node / Celery gevent',
    of: anonymous('islet-lean-newest'),
    against: anonymous('celery-gevent'),
    atMost: 0.8,
  },
  {
    what: 'anonymous memory under load, lean / bare BullMQ',
    of: anonymous('islet-lean'),
    against: anonymous(bare),
    atMost: 0.65,
  },
  {
    what: 'anonymous memory under load, lean / bare BullMQ, newest Node',
    of: anonymous('islet-lean-newest'),
    against: anonymous('bullmq-newest'),
    atMost: 0.5,
  },
  {
    what: 'drain of the load, throughput / bare BullMQ',
    of: drain('islet-throughput'),
    against: drain(bare),
    atMost: 1.05,
  },
  { what: 'drain of the load, lean / bare BullMQ', of: drain('islet-lean'), against: drain(bare), atMost: 1.05 },
  { what: 'drain of the load, minimal / bare BullMQ', of: drain('islet-minimal'), against: drain(bare) },
  {
    what: 'Redis commands per job in a backlog, Islet - bare BullMQ',
    of: ['job-traffic', 'islet-lean', 'commands'],
    against: ['job-traffic', bare, 'commands'],
    atMost: 0.02,
    difference: true,
  },
  {
    what: 'idle bytes sent per minute, Islet / bare BullMQ',
    of: ['idle-traffic', 'islet-lean', 'bytesIn'],
    against: ['idle-traffic', bare, 'bytesIn'],
    atMost: 1,
  },
  {
    what: 'idle bytes sent per minute, Islet / Celery gevent',
    of: ['idle-traffic', 'islet-lean', 'bytesIn'],
    against: ['idle-traffic', 'celery-gevent', 'bytesIn'],
    atMost: 1,
  },
  {
    what: 'cold start to the first job done, built, lean / bare BullMQ',
    of: ['start', 'islet-lean', 'seconds'],
    against: ['start', bare, 'seconds'],
    atMost: 0.8,
  },
  { what: "RSS of a supervisor's parent, MB", of: ['supervisor', '3', 'parentRssMb'] },
  {
    what: 'PSS of one more worker below a parent, MB',
    of: ['supervisor', '3', 'pssMb'],
    against: ['supervisor', '2', 'pssMb'],
    difference: true,
  },
  {
    what: 'jobs/s of 3 workers, each replaced every 5 s / not replaced',
    of: ['supervisor', '3-recycled', 'jobsPerSecond'],
    against: ['supervisor', '3', 'jobsPerSecond'],
    atLeast: 0.95,
  },
  {
    what: 'p99 of jobs that wait, beside jobs that compute in a thread / without those',
    of: ['pools', 'thread', 'p99Ms'],
    against: ['pools', 'alone', 'p99Ms'],
    atMost: 1.3,
  },
  {
    what: "the same with pool: 'async'",
    of: ['pools', 'async', 'p99Ms'],
    against: ['pools', 'alone', 'p99Ms'],
  },
  {
    what: "built api-scraper / the whole app's node_modules",
    of: ['size', 'built', 'megabytes'],
    against: ['size', 'node-modules', 'megabytes'],
    atMost: 0.15,
  },
  {
    what: 'built api-scraper / node_modules without what only development needs',
    of: ['size', 'built', 'megabytes'],
    against: ['size', 'runtime-modules', 'megabytes'],
  },
];

/** Compares what was measured with what the benchmark must show. */
export function judge(cases: readonly CaseResult[]): Mark[] {
  return rules.map((rule) => {
    const figure = figureOf(rule, cases);
    return { what: rule.what, figure, mark: markOf(rule), verdict: verdictOf(rule, figure) };
  });
}

function figureOf({ of, against, difference }: Rule, cases: readonly CaseResult[]): number | undefined {
  const value = findFigure(cases, ...of)?.median;
  if (against === undefined || value === undefined) return value;
  const other = findFigure(cases, ...against)?.median;
  if (other === undefined) return undefined;
  return difference ? value - other : value / other;
}

function markOf({ atMost, atLeast }: Rule): string {
  if (atMost !== undefined) return `<= ${atMost.toFixed(2)}`;
  return atLeast === undefined ? '' : `>= ${atLeast.toFixed(2)}`;
}

function verdictOf({ atMost, atLeast }: Rule, figure: number | undefined): Verdict {
  if (figure === undefined) return 'not measured';
  if (atMost === undefined && atLeast === undefined) return 'reported';
  return figure <= (atMost ?? Number.POSITIVE_INFINITY) && figure >= (atLeast ?? 0 - Number.MAX_VALUE)
    ? 'met'
    : 'MISSED';
}
