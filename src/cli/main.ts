import { Command, CommanderError } from 'commander';
import { enqueueCommand } from './enqueue-command.ts';
import { generateCommand } from './generate-command.ts';
import { initCommand } from './init-command.ts';
import { jobsCommand } from './jobs-command.ts';
import { reportError, UsageError } from './report-error.ts';
import { workerCommand } from './worker-command.ts';

/** What the launcher reads of its surroundings for the command line. */
export interface Surroundings {
  /** Where programs are looked for: the variable PATH. */
  path: string | undefined;
  /** Islet's own package.json. */
  islet: {
    version: string;
    engines: { node: string };
    dependencies: Record<string, string>;
    devDependencies: Record<string, string>;
  };
  /** Compiles the app in the working directory where it is stale; returns what the compiler said against it. */
  compile(): string | undefined;
}

function createProgram(surroundings: Surroundings): Command {
  const program = new Command('islet')
    .description('Run background jobs: one lean process per queue.')
    .option('--verbose', 'show stack traces')
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  const commands = [
    initCommand(surroundings),
    generateCommand(),
    workerCommand(surroundings),
    enqueueCommand(surroundings),
    jobsCommand(surroundings),
  ];
  for (const command of commands) {
    program.addCommand(command);
    for (const each of [command, ...command.commands]) each.exitOverride().configureOutput({ writeErr: () => {} });
  }
  return program;
}

/** Runs the command line and ends the process: 0 done, 1 failed, 2 wrong usage. */
export async function main(argv: string[], surroundings: Surroundings): Promise<void> {
  const verbose = argv.includes('--verbose');
  const args = argv.filter((argument) => argument !== '--verbose');
  try {
    if (args.length === 0) {
      throw new UsageError('Name a command: init, generate, worker, enqueue or jobs. "islet --help" explains them.');
    }
    await createProgram(surroundings).parseAsync(args, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return;
    const shown = error instanceof CommanderError ? new UsageError(error.message.replace(/^error: /, '')) : error;
    process.exitCode = reportError(shown, verbose);
  }
}
