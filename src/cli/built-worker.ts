import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type BuiltQueue, openBuiltApp } from '../app/built-app.ts';
import { profileNames } from '../launch-profiles.ts';
import { findConfiguredRedis, redisMissing } from './configured-redis.ts';
import { parseChoice, parseDuration, parseInteger } from './parse-flags.ts';
import { reportError, UsageError } from './report-error.ts';
import { runWorker, type WorkerFlags } from './run-worker.ts';

const options = {
  concurrency: { type: 'string' },
  'graceful-timeout': { type: 'string' },
  slot: { type: 'string' },
  'no-guard': { type: 'boolean' },
  'allow-eviction': { type: 'boolean' },
  profile: { type: 'string' },
  'health-port': { type: 'string' },
  supervised: { type: 'boolean' },
  verbose: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

const help = `Options:
  --concurrency <n>              jobs in flight at most
  --graceful-timeout <duration>  what running jobs get at the stop (25s)
  --slot <name>                  a name that no two living workers share: its last holder is dead
  --no-guard                     without the thread that keeps the locks of a blocked event loop
  --allow-eviction               start also on a Redis that drops keys when it is full
  --profile <name>               the launch line meant: ${profileNames.join(', ')}
  --health-port <port>           answer GET /livez there; 0 for nowhere
  --verbose                      show stack traces
`;

function parse(args: string[], queue: string) {
  try {
    return parseArgs({ args, options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    const said = (error as Error).message.split('. ')[0];
    throw new UsageError(`${said}. This is the worker of queue "${queue}"; --help lists its options.`);
  }
}

function readFlags(values: ReturnType<typeof parse>, queue: string): WorkerFlags {
  const { concurrency, slot, profile } = values;
  const grace = values['graceful-timeout'];
  const port = values['health-port'];
  return {
    queue: [queue],
    concurrency: concurrency === undefined ? undefined : parseInteger('--concurrency', 1, 10_000)(concurrency),
    gracefulTimeout: grace === undefined ? undefined : parseDuration('--graceful-timeout')(grace),
    slot,
    guard: values['no-guard'] !== true,
    allowEviction: values['allow-eviction'],
    profile: profile === undefined ? undefined : parseChoice('--profile', profileNames)(profile),
    healthPort: port === undefined ? undefined : parseInteger('--health-port', 0, 65_535)(port),
    supervised: values.supervised,
  };
}

/**
 * Runs the worker that `islet build` has put into a folder, with that folder as its working directory: its settings are
 * in config/ there, as they are in an app's folder. Reports what keeps it from its start, and sets the exit code.
 */
export async function runBuiltWorker(built: BuiltQueue, folder: string, args: string[]): Promise<void> {
  const queue = built.manifest.name;
  try {
    const values = parse(args, queue);
    if (values.help) {
      process.stdout.write(`The worker of queue "${queue}". Redis: REDIS_URL, or redis.url in config/.\n\n${help}`);
      return;
    }
    const flags = readFlags(values, queue);
    process.chdir(folder);
    await runWorker(flags, {
      openApp: () => openBuiltApp(built),
      unitProgram: join(folder, 'unit.js'),
      async openRedis(config) {
        const configured = findConfiguredRedis(config);
        if (configured) return configured;
        throw redisMissing();
      },
    });
  } catch (error) {
    process.exitCode = reportError(error, args.includes('--verbose'));
  }
}
