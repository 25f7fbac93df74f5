import { Command } from 'commander';
import { IsletError } from '../errors.ts';
import type { Surroundings } from './main.ts';

/** The command `islet compile`. */
export function compileCommand({ compile }: Pick<Surroundings, 'compile'>): Command {
  return new Command('compile')
    .description('compile the app into dist/, with a record of what it was compiled from')
    .action(() => {
      const problem = compile({ all: true });
      if (problem !== undefined) throw new IsletError('E_BUILD_FAILED', `${problem}\nThe previous dist/ stays.`);
    });
}
