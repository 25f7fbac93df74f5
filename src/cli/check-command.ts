import { Command } from 'commander';
import type { CheckReport } from '../tools/check/check-app.ts';
import { measuredModules } from './measured-modules.ts';
import { toTable } from './to-table.ts';

interface CheckFlags {
  queue?: string;
  json?: boolean;
}

const say = (line: string) => process.stdout.write(`${line}\n`);

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

function print({ queues, problems }: CheckReport): void {
  const rows = queues.map(({ queue, tasks, importMs }) => {
    const own = problems.filter((problem) => problem.queue === queue).length;
    return [queue, String(tasks.length), `${importMs} ms`, own === 0 ? 'ok' : count(own, 'problem')];
  });
  for (const line of toTable([['queue', 'tasks', 'imports', 'result'], ...rows])) say(line);
  for (const { code, file, line, message } of problems) {
    const place = file === null ? '' : ` ${file}${line === null ? '' : `:${line}`}`;
    say(`\n${code}${place}\n  ${message.replaceAll('\n', '\n  ')}`);
  }
  const tasks = queues.reduce((sum, queue) => sum + queue.tasks.length, 0);
  const checked = `${count(queues.length, 'queue')}, ${count(tasks, 'task')}`;
  say(`\n${checked}: ${problems.length === 0 ? 'no problem' : count(problems.length, 'problem')}`);
}

async function check({ queue, json }: CheckFlags): Promise<void> {
  const { checkApp } = await import('../tools/check/check-app.ts');
  const report = await checkApp(process.cwd(), { ...measuredModules, only: queue });
  if (json) say(JSON.stringify({ ok: report.problems.length === 0, ...report }, null, 2));
  else print(report);
  if (report.problems.length > 0) process.exitCode = 1;
}

/** The command `islet check`. */
export function checkCommand(): Command {
  return new Command('check')
    .description('import every manifest, queue and task, and say what is wrong')
    .option('--queue <name>', 'check only this queue')
    .option('--json', 'print JSON')
    .action(check);
}
