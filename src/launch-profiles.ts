// The young generation stays at its smallest, so that the garbage of jobs is collected soon. With one arena, threads share
// one heap for their allocations. The code of V8's middle compiler, which is in Node since 22, takes 5 MB.
const small = ['--optimize-for-size', '--max-semi-space-size=1', '--semi-space-growth-factor=1', '--no-maglev'];
const oneArena = { MALLOC_ARENA_MAX: '1' };

/**
 * How a worker's Node is started: with flags that Node takes on its command line only, and variables that mean nothing but
 * on Linux with glibc. Savings and costs are against Node's defaults; docs/benchmarks.md says how they were measured.
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
    // Code is not compiled at all. --lite-mode would save a little more, but takes WebAssembly away, and with it fetch.
    flags: [...small, '--no-opt', '--no-sparkplug'],
    env: oneArena,
    saves: 'about 35 % of the peak memory (45 % on Node 26)',
    costs: 'about twice the CPU per job, and code that computes runs many times slower',
  },
} as const;

export type ProfileName = keyof typeof launchProfiles;
export type LaunchProfile = (typeof launchProfiles)[ProfileName];

export const profileNames = Object.keys(launchProfiles) as ProfileName[];

/** The profile in which a worker is started where nothing names another. */
export const defaultProfile: ProfileName = 'lean';

/** V8 reads "_" as "-". */
const normalize = (flag: string) => flag.replaceAll('_', '-');

/** Tells whether a process has the flags of a profile or, for `throughput`, none of those of the others. */
export function isLaunchedAs(name: ProfileName, execArgv: readonly string[]): boolean {
  const { flags } = launchProfiles[name];
  if (flags.length === 0) return withoutProfile(execArgv).length === execArgv.length;
  const given = execArgv.map(normalize);
  return flags.every((flag) => given.includes(flag));
}

/** Flags that hold for one process only, or that another process would take for itself. */
const ofOneProcess = /^--(inspect|debug|watch|cpu-prof|heap-prof|max-old-space-size|test)/;

/** Returns flags of Node without those of any profile. */
export function withoutProfile(execArgv: readonly string[]): string[] {
  const ofProfiles = new Set(profileNames.flatMap((name) => launchProfiles[name].flags.map(normalize)));
  return execArgv.filter((flag) => !ofProfiles.has(normalize(flag)));
}

/** Returns the flags of a process that computes for a worker, without those of a profile, which make code slow. */
export function flagsOfUnits(execArgv: readonly string[]): string[] {
  return withoutProfile(execArgv).filter((flag) => !ofOneProcess.test(normalize(flag)));
}

/** Returns the command that starts a program in a profile: `node`, its flags, the program. */
export function launchCommand(profile: ProfileName, program: string, args: readonly string[] = []): string[] {
  return ['node', ...launchProfiles[profile].flags, program, ...args];
}
