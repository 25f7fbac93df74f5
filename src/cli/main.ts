import { Command, CommanderError } from 'commander';
import { didYouMean } from '../manifest/did-you-mean.ts';
import { stopWithScript } from '../process/script-watch.ts';
import { outliveReaders } from './closed-pipes.ts';
import { reportError, UsageError } from './report-error.ts';

/** The facts that the launcher reads from its environment for the command line. */
export interface Surroundings {
  /** The variable PATH, by which programs are found. */
  path: string | undefined;
  /** The environment of processes that are started. */
  env: Readonly<Record<string, string | undefined>>;
  /** Islet's own package.json. */
  islet: { version: string; private?: boolean; peerDependencies: Record<string, string> };
  /** The file of this command line, to start it as another process. */
  program: string;
  /** The file of the program that compiles at each save. */
  builder: string;
  /**
   * Compiles the app in the working directory where it is stale; returns the compiler's output when that fails. With `all`,
   * it also compiles what could run from its sources.
   */
  compile(options?: { all?: boolean }): string | undefined;
  /** Whether stack traces are to be shown. */
  verbose?: boolean;
}

/** The code of a command is loaded when it is called for: loading BullMQ alone takes longer than writing a task. */
const commands: Record<string, (surroundings: Surroundings) => Promise<Command>> = {
  init: async (surroundings) => (await import('./init-command.ts')).initCommand(surroundings),
  generate: async (surroundings) => (await import('./generate-command.ts')).generateCommand(surroundings),
  destroy: async (surroundings) => (await import('./destroy-command.ts')).destroyCommand(surroundings),
  dev: async (surroundings) => (await import('./dev-command.ts')).devCommand(surroundings),
  check: async () => (await import('./check-command.ts')).checkCommand(),
  compile: async (surroundings) => (await import('./compile-command.ts')).compileCommand(surroundings),
  build: async (surroundings) => (await import('./build-command.ts')).buildCommand(surroundings),
  footprint: async () => (await import('./footprint-command.ts')).footprintCommand(),
  worker: async (surroundings) => (await import('./worker-command.ts')).workerCommand(surroundings),
  enqueue: async (surroundings) => (await import('./enqueue-command.ts')).enqueueCommand(surroundings),
  jobs: async (surroundings) => (await import('./jobs-command.ts')).jobsCommand(surroundings),
};

const versionFlags = ['-V', '--version'];

/** Returns the command that is called or, for `islet help <command>`, is to be explained; undefined for all of them. */
function findNamed([called = '', topic]: string[]): string | undefined {
  if (called !== 'help') return Object.hasOwn(commands, called) ? called : undefined;
  if (topic === undefined || Object.hasOwn(commands, topic)) return topic;
  const known = Object.keys(commands);
  throw new UsageError(`There is no command "${topic}".${didYouMean(topic, known)} "islet help" explains all.`);
}

async function createProgram(surroundings: Surroundings, args: string[]): Promise<Command> {
  const program = new Command('islet')
    .description('Run background jobs: one lean process per queue.')
    .version(surroundings.islet.version, versionFlags.join(', '), 'show the version of Islet')
    .helpCommand('help [command]', 'explain a command, or all of them')
    .option('--verbose', 'show stack traces')
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  if (versionFlags.includes(args[0] ?? '')) return program;
  const named = findNamed(args);
  // Help, and advice about an unknown name, need all commands.
  const wanted = Object.entries(commands).filter(([name]) => named === undefined || name === named);
  for (const [, load] of wanted) {
    const command = await load(surroundings);
    program.addCommand(command);
    for (const each of [command, ...command.commands]) each.exitOverride().configureOutput({ writeErr: () => {} });
  }
  return program;
}

/** Runs the command line and ends the process: 0 done, 1 failed, 2 wrong usage. */
export async function main(argv: string[], surroundings: Surroundings): Promise<void> {
  outliveReaders();
  const verbose = argv.includes('--verbose');
  const args = argv.filter((argument) => argument !== '--verbose');
  stopWithScript(surroundings.env);
  try {
    if (args.length === 0) {
      throw new UsageError(`Name a command: ${Object.keys(commands).join(', ')}. "islet --help" explains them.`);
    }
    const program = await createProgram({ ...surroundings, verbose }, args);
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return;
    const shown = error instanceof CommanderError ? new UsageError(error.message.replace(/^error: /, '')) : error;
    process.exitCode = reportError(shown, verbose);
  }
}
