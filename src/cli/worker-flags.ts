import type { WorkerSettings } from '../config.ts';
import { profileNames } from '../launch-profiles.ts';
import { showDuration } from '../units.ts';
import { parseChoice, parseDuration, parseInteger, parseSize } from './parse-flags.ts';

/** How the value of a flag is shown in the help, read from a command line and written into one. */
interface FlagType<T> {
  readonly shown: string;
  /** Creates what reads the value of this flag, and throws `E_USAGE` where it cannot. */
  reader(flag: string): (text: string) => T;
  write(value: T): string;
}

/** One flag of a worker. A flag without a type is a switch. */
export interface WorkerFlag {
  readonly type?: FlagType<unknown>;
  readonly help: string;
  /** The setting that the flag overrides. */
  readonly setting?: keyof WorkerSettings;
  /** A parent hands the flag on to the workers that it starts. */
  readonly forChild?: true;
  /** The flag may be given more than once. */
  readonly repeated?: true;
  /** The switch is given as `--no-<name>`, and is on without it. */
  readonly negated?: true;
  /** The help does not show the flag. */
  readonly hidden?: true;
  /** The one program that takes the flag: `islet worker` in an app's folder, or a worker that `islet build` has made. */
  readonly only?: WorkerProgram;
}

type WorkerProgram = 'folder' | 'built';

const text: FlagType<string> = { shown: 'name', reader: () => (given) => given, write: (value) => value };
const duration = (minMs?: number): FlagType<number> => ({
  shown: 'duration',
  reader: (flag) => parseDuration(flag, undefined, minMs),
  write: showDuration,
});
const integer = (min: number, max: number, shown = 'n'): FlagType<number> => ({
  shown,
  reader: (flag) => parseInteger(flag, min, max),
  write: String,
});
const size: FlagType<number> = { shown: 'size', reader: parseSize, write: (mb) => `${mb}mb` };
const choice = <T extends string>(shown: string, choices: readonly T[]): FlagType<T> => ({
  shown,
  reader: (flag) => parseChoice(flag, choices),
  write: (value) => value,
});

/**
 * All flags of a worker, in the order of the help. Both parsers, both helps, the settings in force and the command lines
 * of the workers of a parent are made from this table. A key is the flag's name in camel case.
 */
export const workerFlags = {
  queue: {
    type: text,
    help: 'a queue to serve; may be given more than once',
    repeated: true,
    forChild: true,
    only: 'folder',
  },
  concurrency: { type: integer(1, 10_000), help: 'run at most this many jobs at once', forChild: true },
  gracefulTimeout: {
    type: duration(),
    help: 'how long running jobs may go on at a stop (25s)',
    setting: 'gracefulTimeoutMs',
    forChild: true,
  },
  processes: {
    // Far more than any machine has cores for.
    type: integer(1, 64),
    help: 'keep this many processes, with a small parent; each has its own concurrency',
    setting: 'processes',
  },
  maxAge: {
    // At a lower age, a process would be replaced as soon as it has started.
    type: duration(5_000),
    help: 'replace a process at that age',
    setting: 'maxAgeMs',
    forChild: true,
  },
  maxAgeVariance: {
    type: duration(),
    help: 'vary that age by up to this much for each process',
    setting: 'maxAgeVarianceMs',
    forChild: true,
  },
  maxJobs: {
    type: integer(1, 1_000_000_000),
    help: 'replace a process after this many jobs',
    setting: 'maxJobs',
    forChild: true,
  },
  maxMemory: {
    type: size,
    help: 'replace a process whose memory reaches this size, such as 300mb',
    setting: 'maxMemoryMb',
    forChild: true,
  },
  recycle: {
    type: choice('how', ['replace', 'exit']),
    help: 'what to do at a limit: replace (the parent does it), or exit (with 0, without a parent)',
    setting: 'recycle',
    // Otherwise a worker would hold the setting that the flag overrides against its parent.
    forChild: true,
  },
  slot: {
    type: text,
    help: 'a name that no two living workers share: its last holder is taken for dead',
    forChild: true,
  },
  guard: {
    help: 'run without the thread that keeps the locks while the event loop is blocked',
    negated: true,
    setting: 'guard',
    forChild: true,
  },
  allowEviction: { help: 'start even on a Redis that drops keys when it is full', forChild: true },
  profile: { type: choice('name', profileNames), help: `the launch profile that is meant: ${profileNames.join(', ')}` },
  healthPort: {
    type: integer(0, 65_535, 'port'),
    help: 'answer GET /livez on this port; 0 turns it off',
    setting: 'healthPort',
  },
  devRedis: {
    help: 'without REDIS_URL, use a private Redis of this project (development only)',
    forChild: true,
    only: 'folder',
  },
  supervised: {
    help: 'wait for the parent process, tell it when jobs are taken, and end with it',
    forChild: true,
    hidden: true,
  },
  // `islet` itself takes this flag for all of its commands, and tells the worker.
  verbose: { help: 'show stack traces', forChild: true, only: 'built' },
} as const satisfies Record<string, WorkerFlag>;

type Table = typeof workerFlags;
type TypeOf<Flag> = Flag extends { type: { write(value: infer T): string } } ? T : boolean;
type ValueOf<Flag> = Flag extends { repeated: true } ? TypeOf<Flag>[] : TypeOf<Flag>;

/** What was given on a worker's command line: durations in milliseconds, sizes in megabytes. */
export type WorkerFlags = { [Key in keyof Table]?: ValueOf<Table[Key]> };

interface NamedFlag {
  readonly key: keyof Table;
  readonly flag: WorkerFlag;
  /** The flag as it is typed. */
  readonly name: string;
}

const nameFlag = ([key, flag]: [string, WorkerFlag]): NamedFlag => {
  const words = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return { key: key as keyof Table, flag, name: `--${flag.negated ? 'no-' : ''}${words}` };
};
const allFlags = Object.entries(workerFlags).map(nameFlag);

/** Returns a flag as it is typed, such as `--max-age`. */
export function flagName(key: keyof Table): string {
  return nameFlag([key, workerFlags[key]]).name;
}

/** Returns the flags that a program takes. */
export function flagsOf(program: WorkerProgram): NamedFlag[] {
  return allFlags.filter(({ flag }) => flag.only === undefined || flag.only === program);
}

/** Writes a flag as the help shows it, such as `--max-age <duration>`. */
export function showFlag({ name, flag }: NamedFlag): string {
  return flag.type ? `${name} <${flag.type.shown}>` : name;
}

function isGiven({ key, flag }: NamedFlag, flags: WorkerFlags): boolean {
  return flag.type ? flags[key] !== undefined : flags[key] === !flag.negated;
}

/** Returns the settings in force: a flag wins over its setting. */
export function applyFlags(flags: WorkerFlags, settings: WorkerSettings): WorkerSettings {
  const given = allFlags.filter((each) => each.flag.setting && isGiven(each, flags));
  return { ...settings, ...Object.fromEntries(given.map(({ key, flag }) => [flag.setting, flags[key]])) };
}

/** Writes the command line of a worker whose parent was given these flags. */
export function toChildArgs(flags: WorkerFlags): string[] {
  const whole = { ...flags, supervised: true };
  const given = allFlags.filter((each) => each.flag.forChild && isGiven(each, whole));
  return given.flatMap(({ key, flag: { type }, name }) => {
    if (!type) return [name];
    return [whole[key]].flat().flatMap((value) => [name, type.write(value)]);
  });
}
