import { relative } from 'node:path';
import { defaultProfile, isLaunchedAs, launchCommand, launchProfiles, type ProfileName } from '../launch-profiles.ts';

export interface Launched {
  /** The flags of this process's Node, and what it was started with. */
  execArgv: readonly string[];
  argv: readonly string[];
  platform: string;
  /** What was asked for; without it, the default. */
  profile: ProfileName | undefined;
}

export interface LaunchAdvice {
  fields: { profile: ProfileName; saves: string; costs: string; start: string };
  text: string;
}

/** For a shell; a name with a quote in it is nobody's. */
const quote = (word: string) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`);

/** The shorter one, as somebody would type it. */
function shorten(file: string): string {
  const near = relative(process.cwd(), file);
  return near.length < file.length ? near : file;
}

/** Says by which line a worker would have been started in its profile; nothing when it was. */
export function adviseLaunch({ execArgv, argv, platform, profile }: Launched): LaunchAdvice | undefined {
  const meant = profile ?? defaultProfile;
  if (isLaunchedAs(meant, execArgv)) return undefined;
  const { env, saves, costs } = launchProfiles[meant];
  const [, program = '', ...args] = argv;
  const variables = platform === 'linux' ? Object.entries(env).map(([name, value]) => `${name}=${value}`) : [];
  const start = [...variables, ...launchCommand(meant, shorten(program), args).map(quote)].join(' ');
  const others = profile === undefined ? ' (or say --profile throughput)' : '';
  const text = `Not started in the launch profile "${meant}": saves ${saves}; costs ${costs}${others}. Its line:\n  ${start}`;
  return { fields: { profile: meant, saves, costs, start }, text };
}
