import { relative } from 'node:path';
import { defaultProfile, isLaunchedAs, launchCommand, launchProfiles, type ProfileName } from '../launch-profiles.ts';
import type { Log } from '../log.ts';
import type { WorkerFlags } from './worker-flags.ts';

interface Launched {
  /** The flags of this process's Node, and its command line. */
  execArgv: readonly string[];
  argv: readonly string[];
  platform: string;
  /** The profile that was asked for; without one, the default is meant. */
  profile: ProfileName | undefined;
}

/** Quotes a word for a shell. Names with a quote in them are not expected. */
const quote = (word: string) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`);

/** Returns the shorter path of a file, as somebody would type it. */
function shorten(file: string): string {
  const near = relative(process.cwd(), file);
  return near.length < file.length ? near : file;
}

/** Returns the line that starts a worker in its profile; undefined when the worker was started so. */
export function adviseLaunch({ execArgv, argv, platform, profile }: Launched) {
  const meant = profile ?? defaultProfile;
  if (isLaunchedAs(meant, execArgv)) return undefined;
  const { env, saves, costs } = launchProfiles[meant];
  const [, program = '', ...args] = argv;
  const variables = platform === 'linux' ? Object.entries(env).map(([name, value]) => `${name}=${value}`) : [];
  const start = [...variables, ...launchCommand(meant, shorten(program), args).map(quote)].join(' ');
  const others = profile === undefined ? ', or add --profile throughput' : '';
  const text = `This worker was not started in the launch profile "${meant}", which saves ${saves} and costs ${costs}. Start it with this line${others}:\n  ${start}`;
  return { fields: { profile: meant, saves, costs, start }, text };
}

/** Says how less memory could be used, except to a worker that a parent has started, or that was started so. */
export function advise({ supervised, profile }: WorkerFlags, log: Log): void {
  const { execArgv, argv, platform } = process;
  const advice = supervised ? undefined : adviseLaunch({ execArgv, argv, platform, profile });
  if (!advice) return;
  log.info(advice.fields, 'Started in another launch profile');
  if (process.stdout.isTTY) process.stderr.write(`${advice.text}\n`);
}
