import { cancel, isCancel, select, text } from '@clack/prompts';
import { findNameProblem } from '../tools/scaffold/generate.ts';
import type { AppSources } from '../tools/scaffold/read-manifests.ts';
import type { TaskFlags } from './generate-command.ts';

type Answers = { kind: 'queue'; name: string } | { kind: 'task'; name: string; queue: string; flags: TaskFlags };

interface Given {
  kind?: 'task' | 'queue';
  name?: string;
  flags?: TaskFlags;
}

/** Thrown when somebody has cancelled a prompt. */
class Cancelled extends Error {}

async function answered<T>(prompt: Promise<T>): Promise<Exclude<T, symbol>> {
  const answer = await prompt;
  if (isCancel(answer)) throw new Cancelled();
  return answer as Exclude<T, symbol>;
}

/** The value of the option that no queue can have as its name. */
const newQueue = '+';

function askName(app: AppSources, kind: 'task' | 'queue', message: string): Promise<string> {
  const validate = (value: string | undefined) => {
    const problem = findNameProblem(app, kind, value ?? '');
    return problem && `${problem.charAt(0).toUpperCase()}${problem.slice(1)}.`;
  };
  return answered(text({ message, placeholder: kind === 'task' ? 'send-invoice' : 'mail', validate }));
}

async function askQueue(app: AppSources): Promise<Pick<TaskFlags, 'queue' | 'createQueue'>> {
  const known = [...app.queues.keys()].map((name) => ({ value: name, label: name }));
  const options = [...known, { value: newQueue, label: 'a new queue' }];
  const chosen = await answered(select({ message: 'Which queue runs it?', options }));
  if (chosen !== newQueue) return { queue: chosen };
  return { queue: await askName(app, 'queue', "The queue's name?"), createQueue: true };
}

function askDelivery(): Promise<'at-least-once' | 'at-most-once'> {
  return answered(
    select({
      message: 'When its worker dies, a job',
      options: [
        { value: 'at-least-once' as const, label: 'runs again', hint: 'at least once: its effects are safe to repeat' },
        { value: 'at-most-once' as const, label: 'fails', hint: 'at most once: it must not start twice' },
      ],
    }),
  );
}

async function askAll(app: AppSources, given: Given): Promise<Answers> {
  const kinds = [
    { value: 'task' as const, label: 'a task' },
    { value: 'queue' as const, label: 'a queue' },
  ];
  const kind = given.kind ?? (await answered(select({ message: 'What do you want to write?', options: kinds })));
  const name = given.name ?? (await askName(app, kind, `The ${kind}'s name?`));
  if (kind === 'queue') return { kind, name };
  const { flags = {} } = given;
  const whole = flags.queue === undefined ? { ...flags, ...(await askQueue(app)) } : flags;
  // People who gave flags know what they want.
  const asksDelivery = given.kind === undefined || (given.name === undefined && flags.delivery === undefined);
  const delivery = asksDelivery ? await askDelivery() : flags.delivery;
  return { kind, name, queue: whole.queue ?? '', flags: { ...whole, delivery } };
}

/** Asks on the terminal for what was not given. Returns undefined when that was cancelled, and says so. */
export async function askWhat(app: AppSources, given: Given): Promise<Answers | undefined> {
  try {
    return await askAll(app, given);
  } catch (error) {
    if (!(error instanceof Cancelled)) throw error;
    cancel('Nothing was written.');
    return undefined;
  }
}
