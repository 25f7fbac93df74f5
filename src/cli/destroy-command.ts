import { Command } from 'commander';
import { didYouMean } from '../manifest/did-you-mean.ts';
import type { Removal } from '../tools/scaffold/destroy.ts';
import { type AppSources, readManifests } from '../tools/scaffold/read-manifests.ts';
import type { Look } from './look-for-jobs.ts';
import type { Surroundings } from './main.ts';
import { needPackages } from './optional-packages.ts';
import { UsageError } from './report-error.ts';

interface DestroyFlags {
  yes?: boolean;
  devRedis?: boolean;
}

type Kind = Removal['kind'];

const say = (line: string) => process.stdout.write(`${line}\n`);

/** Says what becomes of jobs that are left behind, and how a rename keeps them. */
function adviseRename({ name, heir }: Removal, isSeen: boolean): void {
  if (isSeen) say('Its jobs would wait for a worker that knows it, and then fail with E_TASK_UNKNOWN.');
  const add = `formerNames: ['${name}']`;
  if (heir)
    say(`If it is called "${heir}" now: add ${add} to tasks/${heir}/manifest.ts, which then runs its old jobs.`);
  else if (isSeen) say(`To rename it instead: rename its folder and its \`name\`, and add ${add} to its manifest.`);
}

async function confirm(removal: Removal): Promise<boolean> {
  const prompts = await import('@clack/prompts');
  const answer = await prompts.confirm({ message: `Remove ${removal.path}?`, initialValue: false });
  return answer === true;
}

function showPlan(app: AppSources, removal: Removal, look: Look): void {
  say(`Would remove ${removal.path}:`);
  for (const file of removal.files) say(`  ${file}`);
  say(look.said);
  if (removal.kind === 'task') adviseRename(removal, look.isSeen);
  else if (look.isSeen) say('They would stay in Redis, and no worker would take them.');
  for (const { file, problem } of app.broken) {
    if (!file.startsWith(`${removal.path}/`)) process.stderr.write(`Broken, and left as it is: ${file}: ${problem}\n`);
  }
}

async function destroy(kind: Kind, name: string | undefined, flags: DestroyFlags, surroundings: Surroundings) {
  if (name === undefined) throw new UsageError(`Name the ${kind}: islet destroy ${kind} <name>. Nothing was removed.`);
  const { planRemoval, removeFolder } = await import('../tools/scaffold/destroy.ts');
  const { lookForJobs } = await import('./look-for-jobs.ts');
  const app = await readManifests(process.cwd());
  const removal = await planRemoval(app, kind, name);
  showPlan(app, removal, await lookForJobs(removal, flags.devRedis === true, surroundings));
  if (!flags.yes) {
    if (process.stdin.isTTY !== true || process.stdout.isTTY !== true) {
      throw new UsageError('There is no terminal to ask on. Nothing was removed. Give --yes to remove it.');
    }
    const need = { undone: 'Nothing was removed.', instead: 'Give --yes to remove it.' };
    needPackages(['@clack/prompts'], { who: 'To ask first, islet destroy', ...need }, surroundings);
    if (!(await confirm(removal))) {
      say('Nothing was removed.');
      process.exitCode = 1;
      return;
    }
  }
  await removeFolder(app, removal);
  say(`Removed ${removal.path}.`);
}

/** The command `islet destroy`. */
export function destroyCommand(surroundings: Surroundings): Command {
  const kinds: Kind[] = ['task', 'queue'];
  const command = new Command('destroy').description('remove a task or queue').argument('[command]');
  command.action((kind: string | undefined) => {
    if (kind === undefined) throw new UsageError('Name what to remove: islet destroy task <name> or queue <name>.');
    throw new UsageError(`There is no command "destroy ${kind}".${didYouMean(kind, kinds)}`);
  });
  for (const kind of kinds) {
    command
      .command(kind)
      .description(`show what the removal of a ${kind} would delete, and ask before it is deleted`)
      .argument('[name]', `the name of a ${kind}`)
      .option('--yes', 'remove it without asking')
      .option('--dev-redis', 'without REDIS_URL, look for its jobs in the private Redis of this project')
      .action((name: string | undefined, flags: DestroyFlags) => destroy(kind, name, flags, surroundings));
  }
  return command;
}
