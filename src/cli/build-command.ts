import { relative, resolve } from 'node:path';
import { Command } from 'commander';
import { IsletError } from '../errors.ts';
import type { Surroundings } from './main.ts';
import { needPackages } from './optional-packages.ts';
import { collect } from './parse-flags.ts';
import { UsageError } from './report-error.ts';

interface BuildFlags {
  queue?: string;
  producer?: string;
  out?: string;
  include: string[];
  exclude: string[];
  json?: boolean;
}

const say = (text: string) => process.stdout.write(`${text}\n`);

function compile(surroundings: Pick<Surroundings, 'compile'>): void {
  const problem = surroundings.compile();
  if (problem !== undefined) throw new IsletError('E_BUILD_FAILED', `${problem}\nNothing was written.`);
}

async function build(
  { queue, producer, out, include, exclude, json }: BuildFlags,
  surroundings: Surroundings,
): Promise<void> {
  if ((queue === undefined) === (producer === undefined)) {
    throw new UsageError('Name what to build: islet build --queue <name>, or --producer <file>.');
  }
  if (out === undefined || out.trim() === '') throw new UsageError('Name the folder to build into: --out <folder>.');
  needPackages(['esbuild', '@vercel/nft', 'acorn'], { who: 'islet build', undone: 'Nothing was built.' }, surroundings);
  compile(surroundings);
  const { buildQueue, buildProducer } = await import('../tools/build/build-queue.ts');
  const request = { root: process.cwd(), out: resolve(out), include, exclude, version: surroundings.islet.version };
  const contents = await (queue === undefined ? buildProducer(producer ?? '', request) : buildQueue(queue, request));
  if (json) return void say(JSON.stringify(contents, null, 2));
  const { describeContents } = await import('../tools/build/contents.ts');
  const folder = relative(process.cwd(), resolve(out)) || '.';
  say(describeContents(contents, folder));
  // The program is the last word of the command.
  say(`\nStart it: ${contents.start.replace(/\S+$/, `${folder}/$&`)}`);
}

/** The command `islet build`. */
export function buildCommand(surroundings: Surroundings): Command {
  return new Command('build')
    .description("put one queue's worker, or a producer, into a folder that runs with Node alone")
    .option('--queue <name>', 'build the worker of this queue')
    .option('--producer <file>', 'build this program, which enqueues, instead of a worker')
    .option('--out <folder>', 'a new or empty folder, or that of an earlier build')
    .option(
      '--include <name>',
      'also pack this file, folder or package, which no import names; may be given more than once',
      collect,
      [],
    )
    .option(
      '--exclude <name>',
      'leave out this package, or leave what this file of the app computes to the run time; may be given more than once',
      collect,
      [],
    )
    .option('--json', 'print the list of contents as JSON')
    .action((flags: BuildFlags) => build(flags, surroundings));
}
