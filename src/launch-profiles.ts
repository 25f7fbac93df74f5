/** How a worker's Node is started: flags that Node takes on its command line only, and variables of its environment. */
export interface LaunchProfile {
  readonly flags: readonly string[];
  /** Where an environment can be given; it holds on Linux with glibc, and means nothing elsewhere. */
  readonly env: Readonly<Record<string, string>>;
  /** Against Node's defaults, as measured with a built worker and 100 HTTP jobs in flight. */
  readonly saves: string;
  readonly costs: string;
}

// The young generation stays at its smallest, so that garbage of jobs is not left lying. One arena: threads' allocations
// are not spread over a heap of their own each. V8's middle compiler, which is in Node since 22, makes code that takes 5 MB.
const small = ['--optimize-for-size', '--max-semi-space-size=1', '--semi-space-growth-factor=1', '--no-maglev'];
const oneArena = { MALLOC_ARENA_MAX: '1' };
// No compiler, so no compiled code. --lite-mode would save a little more, but takes WebAssembly away, and with it fetch.
const interpreted = ['--no-opt', '--no-sparkplug'];

/**
 * The launch lines of a worker. Everything that starts one reads them here. Peak memory of a built worker with 100 HTTP jobs
 * in flight, on Node 20 and 26: `throughput` 112 and 159 MB, `lean` 79 and 98, `minimal` 70 and 85; CPU per job: 1.0 and
 * 0.8 ms, 1.2 and 1.2, 2.0 and 1.7.
 */
export const launchProfiles = {
  /** The default: for queues that mostly wait for others and compute a little. */
  lean: {
    flags: small,
    env: oneArena,
    saves: 'about 30 % of the peak memory (40 % on Node 26)',
    costs: 'about 20 % more CPU per job (45 % on Node 26), and 80 % for jobs that do next to nothing',
  },
  /** Node's own defaults, for queues that compute, or run thousands of small jobs a second. */
  throughput: {
    flags: [],
    env: {},
    saves: 'about 15 % of the CPU per job (30 % on Node 26), and 45 % for jobs that do next to nothing',
    costs: 'about 40 % more memory at the peak (60 % on Node 26)',
  },
  /** The least memory, for queues that do nothing but wait. */
  minimal: {
    flags: [...small, ...interpreted],
    env: oneArena,
    saves: 'about 35 % of the peak memory (45 % on Node 26)',
    costs: 'about twice the CPU per job, and code that computes runs many times slower',
  },
} as const satisfies Record<string, LaunchProfile>;

export type ProfileName = keyof typeof launchProfiles;

export const profileNames = Object.keys(launchProfiles) as ProfileName[];

/** The profile of whatever starts a worker and is not told otherwise. */
export const defaultProfile: ProfileName = 'lean';

/** V8 takes "_" for "-". */
const normalize = (flag: string) => flag.replaceAll('_', '-');

/** Whether a process has the flags of a profile; of `throughput`, whether it has none of the others'. */
export function isLaunchedAs(name: ProfileName, execArgv: readonly string[]): boolean {
  const given = new Set(execArgv.map(normalize));
  const { flags } = launchProfiles[name];
  if (flags.length > 0) return flags.every((flag) => given.has(flag));
  return profileNames.every((other) => launchProfiles[other].flags.every((flag) => !given.has(flag)));
}

/** Flags for one process only, or that another one would take for itself. */
const ofOneProcess = /^--(inspect|debug|watch|cpu-prof|heap-prof|max-old-space-size|test)/;

/**
 * The flags of a process that computes for a worker: the worker's own but those of its profile, since what is meant to
 * wait in little memory computes slowly.
 */
export function flagsOfUnits(execArgv: readonly string[]): string[] {
  const ofProfiles = new Set(profileNames.flatMap((name) => launchProfiles[name].flags.map(normalize)));
  return execArgv.filter((flag) => !ofProfiles.has(normalize(flag)) && !ofOneProcess.test(normalize(flag)));
}

/** The command that starts a program in a profile: `node`, its flags, the program. */
export function launchCommand(profile: ProfileName, program: string, args: readonly string[] = []): string[] {
  return ['node', ...launchProfiles[profile].flags, program, ...args];
}
