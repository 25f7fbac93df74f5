/** How a worker's Node is started: flags that Node takes on its command line only, and variables of its environment. */
export interface LaunchProfile {
  readonly flags: readonly string[];
  /** Where an environment can be given; it holds on Linux with glibc, and means nothing elsewhere. */
  readonly env: Readonly<Record<string, string>>;
  /** Against Node's defaults, as measured with a built worker and 100 HTTP jobs in flight. */
  readonly saves: string;
  readonly costs: string;
}

// The young generation stays at its smallest, so that garbage of jobs is not left lying; lite mode has no optimizing
// compiler and keeps no feedback. One arena: threads' allocations are not spread over a heap of their own each.
const smallYoung = ['--max-semi-space-size=1', '--semi-space-growth-factor=1'];
const oneArena = { MALLOC_ARENA_MAX: '1' };

/** The launch lines of a worker. Everything that starts one reads them here. */
export const launchProfiles = {
  /** The default: most of the memory saved, for queues that mostly wait for others and compute a little. */
  lean: {
    flags: ['--optimize-for-size', ...smallYoung],
    env: oneArena,
    saves: '',
    costs: '',
  },
  /** Node's own defaults, for queues that compute, or run thousands of small jobs a second. */
  throughput: { flags: [], env: {}, saves: 'nothing', costs: 'nothing' },
  /** The least memory, for queues that only wait. */
  minimal: {
    flags: ['--lite-mode', ...smallYoung],
    env: oneArena,
    saves: '',
    costs: '',
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

/** The command that starts a program in a profile: `node`, its flags, the program. */
export function launchCommand(profile: ProfileName, program: string, args: readonly string[] = []): string[] {
  return ['node', ...launchProfiles[profile].flags, program, ...args];
}
