import { Command, Option } from 'commander';
import type { DeliveryGuarantee } from '../manifest/define-task.ts';
import { didYouMean } from '../manifest/did-you-mean.ts';
import { type PoolKind, poolKinds } from '../manifest/pool.ts';
import { type AppSources, readManifests } from '../tools/scaffold/read-manifests.ts';
import type { Surroundings } from './main.ts';
import { needPackages } from './optional-packages.ts';
import { parseDuration, parseInteger } from './parse-flags.ts';
import { UsageError } from './report-error.ts';

export interface TaskFlags {
  queue?: string;
  createQueue?: boolean;
  delivery?: DeliveryGuarantee;
  attempts?: number;
  timeout?: number;
  rare?: boolean;
  pool?: PoolKind;
}

interface QueueFlags {
  concurrency?: number;
}

/** Tells whether there is somebody to ask. */
const isTerminal = () => process.stdin.isTTY === true && process.stdout.isTTY === true;

/** Throws when nobody can be asked for what is missing: without a terminal, or without the package that asks. */
function checkCanAsk(what: string, usage: string, surroundings: Surroundings): void {
  const undone = `${what} Nothing was written.`;
  const instead = `Give it: ${usage}.`;
  if (!isTerminal()) throw new UsageError(`${undone} ${instead}`);
  needPackages(['@clack/prompts'], { who: 'To ask, islet generate', undone, instead }, surroundings);
}

function checkFlags({ delivery, attempts = 1, timeout = 1 }: TaskFlags): void {
  if (delivery === 'at-most-once' && attempts > 1) {
    throw new UsageError(
      `--attempts ${attempts} does not go with --delivery at-most-once: such a task has one attempt. Nothing was written.`,
    );
  }
  if (timeout < 1) throw new UsageError('--timeout: expected 1ms to 24d. Nothing was written.');
}

/** Says what was written and what comes next; broken manifests elsewhere hinder nothing. */
function report(app: AppSources, written: string[], next: string[]): void {
  const lines = ['Wrote:', ...written.map((file) => `  ${file}`), 'Next:', ...next.map((command) => `  ${command}`)];
  process.stdout.write(`${lines.join('\n')}\n`);
  for (const { file, problem } of app.broken) {
    process.stderr.write(`Broken, and left as it is: ${file}: ${problem}\n`);
  }
}

/** Asks on the terminal for what was not given; returns undefined when that was cancelled. */
async function ask(app: AppSources, given: { kind?: 'task' | 'queue'; name?: string; flags?: TaskFlags }) {
  const { askWhat } = await import('./ask-generate.ts');
  const answers = await askWhat(app, given);
  // The prompt has said so on the terminal.
  if (answers === undefined) process.exitCode = 1;
  return answers;
}

async function writeTask(app: AppSources, name: string, queue: string, flags: TaskFlags): Promise<void> {
  checkFlags(flags);
  const { generateTask } = await import('../tools/scaffold/generate.ts');
  const { newTaskPayload } = await import('../tools/scaffold/task-files.ts');
  const { timeout: timeoutMs, delivery, attempts, rare, pool, createQueue } = flags;
  const written = await generateTask(app, { name, queue, delivery, attempts, timeoutMs, rare, pool, createQueue });
  report(app, written, [`npm test -- tasks/${name}`, `npm run enqueue -- ${name} ${newTaskPayload}`]);
}

async function writeQueue(app: AppSources, name: string, { concurrency }: QueueFlags): Promise<void> {
  const { generateQueue } = await import('../tools/scaffold/generate.ts');
  const written = await generateQueue(app, { name, concurrency });
  report(app, written, [`npm run generate -- task <name> --queue ${name}`, `npm run worker -- --queue ${name}`]);
}

async function task(name: string | undefined, flags: TaskFlags, surroundings: Surroundings): Promise<void> {
  const app = await readManifests(process.cwd());
  if (name !== undefined && flags.queue !== undefined) return writeTask(app, name, flags.queue, flags);
  const queues = [...app.queues.keys()];
  const known = queues.length > 0 ? ` Queues of this app: ${queues.join(', ')}.` : ' This app has no queue yet.';
  const what = name === undefined ? "The task's name is missing." : `The queue of task "${name}" is missing.`;
  const usage = `islet generate task ${name ?? '<name>'} --queue ${flags.queue ?? '<queue>'}`;
  checkCanAsk(what + known, usage, surroundings);
  const answers = await ask(app, { kind: 'task', name, flags });
  if (answers?.kind === 'task') await writeTask(app, answers.name, answers.queue, answers.flags);
}

async function queue(name: string | undefined, flags: QueueFlags, surroundings: Surroundings): Promise<void> {
  const app = await readManifests(process.cwd());
  if (name !== undefined) return writeQueue(app, name, flags);
  checkCanAsk("The queue's name is missing.", 'islet generate queue <name>', surroundings);
  const answers = await ask(app, { kind: 'queue' });
  if (answers) await writeQueue(app, answers.name, flags);
}

async function anything(kind: string | undefined, surroundings: Surroundings): Promise<void> {
  const known = ['task', 'queue'];
  if (kind !== undefined) throw new UsageError(`There is no command "generate ${kind}".${didYouMean(kind, known)}`);
  const app = await readManifests(process.cwd());
  const usage = 'islet generate task <name> --queue <queue>, or islet generate queue <name>';
  checkCanAsk('What to generate is missing.', usage, surroundings);
  const answers = await ask(app, {});
  if (answers?.kind === 'task') await writeTask(app, answers.name, answers.queue, answers.flags);
  if (answers?.kind === 'queue') await writeQueue(app, answers.name, {});
}

/** The command `islet generate`. */
export function generateCommand(surroundings: Surroundings): Command {
  const generate = new Command('generate')
    .description('write a new task or queue; asks on a terminal')
    .argument('[command]')
    .action((kind: string | undefined) => anything(kind, surroundings));
  generate
    .command('task')
    .description("write a task's folder: manifest, code and test")
    .argument('[name]', 'lower-case words with hyphens')
    .option('--queue <name>', 'the queue whose workers run it')
    .option('--create-queue', 'write that queue too, where it is not there')
    .addOption(
      new Option('--delivery <guarantee>', 'whether a job may run again when its worker dies').choices([
        'at-least-once',
        'at-most-once',
      ]),
    )
    .option('--attempts <n>', 'how many times a job is tried in all', parseInteger('--attempts', 1, 1_000))
    .option('--timeout <duration>', 'the time limit of one attempt (500ms, 60s, 6h)', parseDuration('--timeout'))
    .option('--rare', 'import it only when its first job comes')
    .addOption(
      new Option('--pool <kind>', 'where its code runs: thread or process for code that computes').choices(poolKinds),
    )
    .action((name: string | undefined, flags: TaskFlags) => task(name, flags, surroundings));
  generate
    .command('queue')
    .description("write a queue's folder: manifest and dependencies")
    .argument('[name]', 'lower-case words with hyphens')
    .option('--concurrency <n>', 'jobs that one worker runs at once', parseInteger('--concurrency', 1, 10_000))
    .action((name: string | undefined, flags: QueueFlags) => queue(name, flags, surroundings));
  return generate;
}
