import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type BuiltQueue, openBuiltApp } from '../app/built-app.ts';
import { profileNames } from '../launch-profiles.ts';
import { findConfiguredRedis, redisMissing } from './configured-redis.ts';
import { parseChoice, parseDuration, parseInteger, parseSize } from './parse-flags.ts';
import { reportError, UsageError } from './report-error.ts';
import { countProcesses, maxProcesses, minAgeMs, type WorkerFlags } from './worker-flags.ts';

const options = {
  concurrency: { type: 'string' },
  'graceful-timeout': { type: 'string' },
  processes: { type: 'string' },
  'max-age': { type: 'string' },
  'max-age-variance': { type: 'string' },
  'max-jobs': { type: 'string' },
  'max-memory': { type: 'string' },
  recycle: { type: 'string' },
  slot: { type: 'string' },
  'no-guard': { type: 'boolean' },
  'allow-eviction': { type: 'boolean' },
  profile: { type: 'string' },
  'health-port': { type: 'string' },
  supervised: { type: 'boolean' },
  verbose: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

type BooleanFlag = 'no-guard' | 'allow-eviction' | 'supervised' | 'verbose' | 'help';

const help = `Options:
  --concurrency <n>              jobs in flight at most
  --graceful-timeout <duration>  what running jobs get at the stop (25s)
  --processes <n>                so many processes, kept by a small parent; each has its own concurrency
  --max-age <duration>           replace a process at that age
  --max-age-variance <duration>  each process earlier or later by up to that
  --max-jobs <n>                 replace a process after so many jobs
  --max-memory <size>            replace a process that takes as much, such as 300mb
  --recycle <how>                at a limit: replace (by the parent), or exit with 0, without a parent
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
  const read = <T>(flag: Exclude<keyof typeof values, BooleanFlag>, parseText: (text: string) => T) => {
    const text = values[flag];
    return text === undefined ? undefined : parseText(text);
  };
  return {
    queue: [queue],
    concurrency: read('concurrency', parseInteger('--concurrency', 1, 10_000)),
    gracefulTimeout: read('graceful-timeout', parseDuration('--graceful-timeout')),
    processes: read('processes', parseInteger('--processes', 1, maxProcesses)),
    maxAge: read('max-age', parseDuration('--max-age', undefined, minAgeMs)),
    maxAgeVariance: read('max-age-variance', parseDuration('--max-age-variance')),
    maxJobs: read('max-jobs', parseInteger('--max-jobs', 1, 1_000_000_000)),
    maxMemory: read('max-memory', parseSize('--max-memory')),
    recycle: read('recycle', parseChoice('--recycle', ['replace', 'exit'] as const)),
    slot: values.slot,
    guard: values['no-guard'] !== true,
    allowEviction: values['allow-eviction'],
    profile: read('profile', parseChoice('--profile', profileNames)),
    healthPort: read('health-port', parseInteger('--health-port', 0, 65_535)),
    supervised: values.supervised,
  };
}

/**
 * Runs the worker that `islet build` has put into a folder, with that folder as its working directory: its settings are
 * in config/ there, as they are in an app's folder. Reports what keeps it from its start, and sets the exit code.
 */
export async function runBuiltWorker(
  built: BuiltQueue,
  folder: string,
  args: string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  const queue = built.manifest.name;
  try {
    const values = parse(args, queue);
    if (values.help) {
      process.stdout.write(`The worker of queue "${queue}". Redis: REDIS_URL, or redis.url in config/.\n\n${help}`);
      return;
    }
    const flags = readFlags(values, queue);
    process.chdir(folder);
    const openApp = () => openBuiltApp(built);
    const processes = await countProcesses(flags, () => openApp().config());
    if (processes !== undefined) {
      const { supervise } = await import('./supervise.ts');
      const [, program = ''] = process.argv;
      return await supervise(flags, { processes, program, command: [], env });
    }
    const { runWorker } = await import('./run-worker.ts');
    await runWorker(flags, {
      openApp,
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
