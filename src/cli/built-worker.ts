import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type BuiltQueue, openBuiltApp } from '../app/built-app.ts';
import type { IsletConfig } from '../config.ts';
import { stopWithScript } from '../process/script-watch.ts';
import { outliveReaders } from './closed-pipes.ts';
import { openConfiguredRedis } from './configured-redis.ts';
import { reportError, UsageError } from './report-error.ts';
import { startWorker } from './start-worker.ts';
import { toTable } from './to-table.ts';
import { flagsOf, showFlag, type WorkerFlags } from './worker-flags.ts';

const flags = flagsOf('built');
const optionOf = (name: string) => name.replace('--', '');

function showHelp(queue: string): string {
  const shown = flags.filter(({ flag }) => !flag.hidden);
  const lines = toTable(shown.map((each) => [`  ${showFlag(each)}`, each.flag.help]));
  return `The worker of queue "${queue}". Redis: REDIS_URL, or redis.url in config/.\n\nOptions:\n${lines.join('\n')}\n`;
}

function parse(args: string[], queue: string): Record<string, unknown> {
  const ownOptions = flags.map(({ name, flag }) => {
    return [optionOf(name), { type: flag.type ? ('string' as const) : ('boolean' as const) }];
  });
  const options = { ...Object.fromEntries(ownOptions), help: { type: 'boolean' as const, short: 'h' } };
  try {
    return parseArgs({ args, options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    const said = (error as Error).message.split('. ')[0];
    throw new UsageError(`${said}. This is the worker of queue "${queue}"; --help lists its options.`);
  }
}

/** Reads the flags of a built worker; `help` when they ask for that. Throws `E_USAGE`. */
export function parseBuiltFlags(args: string[], queue: string): WorkerFlags | 'help' {
  const values = parse(args, queue);
  if (values.help) return 'help';
  const read = flags.map(({ key, name, flag: { type, negated } }) => {
    const given = values[optionOf(name)];
    if (!type) return [key, negated ? given !== true : given];
    return [key, given === undefined ? undefined : type.reader(name)(String(given))];
  });
  return Object.fromEntries(read);
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
  outliveReaders();
  const queue = built.manifest.name;
  try {
    const given = parseBuiltFlags(args, queue);
    if (given === 'help') {
      process.stdout.write(showHelp(queue));
      return;
    }
    process.chdir(folder);
    stopWithScript(env);
    const [, program = ''] = process.argv;
    const openApp = () => openBuiltApp(built);
    const openRedis = async (config: IsletConfig) => openConfiguredRedis(config);
    const source = { queues: [queue], openApp, unitProgram: join(folder, 'unit.js'), openRedis };
    await startWorker(given, source, { program, command: [], env });
  } catch (error) {
    process.exitCode = reportError(error, args.includes('--verbose'));
  }
}
