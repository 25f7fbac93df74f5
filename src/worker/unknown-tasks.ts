import type { Delivery } from '../broker/broker.ts';
import type { Log } from '../log.ts';
import { closest, didYouMean } from '../manifest/did-you-mean.ts';
import type { LoadedQueue } from './load-queue.ts';

/** A worker warns of the same name again after this many milliseconds. */
const tellAgainMs = 60_000;
/** How many names a worker warns of in that time, since anybody may enqueue under any name. */
const mostNames = 100;
/** How many characters of a name are shown. */
const mostCharacters = 100;

type Tasks = LoadedQueue['tasks'];

const short = (name: string) => (name.length > mostCharacters ? `${name.slice(0, mostCharacters)}...` : name);

/** Writes a name of a plain BullMQ producer as a task's name: `sendWelcome` as `send-welcome`. */
function toTaskName(name: string): string {
  const words = short(name).replace(/([a-z0-9])([A-Z])/g, '$1-$2');
  return words.replace(/[^a-zA-Z0-9]+/g, '-').toLowerCase();
}

/** A job is looked for by its task's former names, too, but nobody should enqueue by one. */
const namesOf = (tasks: Tasks) => [...new Set([...tasks.values()].map(({ manifest }) => manifest.name))];

/** Says that a queue has no task of this name, and which one may be meant. */
export function tellUnknown({ queue, task }: Delivery, tasks: Tasks): string {
  return `Queue "${queue}" has no task "${short(task)}".${didYouMean(toTaskName(task), namesOf(tasks))}`;
}

/** Warns of jobs whose task their queue does not have, once a minute for each name. */
export class UnknownTasks {
  readonly #tasks: Tasks;
  readonly #deadlineMs: number;
  readonly #log: Pick<Log, 'warn'>;
  /** When the worker has warned of each name, the oldest first. */
  readonly #toldAt = new Map<string, number>();

  constructor(tasks: Tasks, deadlineMs: number, log: Pick<Log, 'warn'>) {
    this.#tasks = tasks;
    this.#deadlineMs = deadlineMs;
    this.#log = log;
  }

  /** Warns of a job that was postponed. It may also be that only its version is newer. */
  tell(delivery: Delivery, now = performance.now()): void {
    const { queue, task, jobId } = delivery;
    const name = short(task);
    if (this.#tasks.has(task) || !this.#isNew(name, now)) return;
    const fate = `Its jobs wait for a worker that has it, and fail ${this.#deadlineMs} ms after they were first seen`;
    const add = `add formerNames: [${JSON.stringify(name)}]`;
    const heir = closest(toTaskName(task), namesOf(this.#tasks));
    const cure = heir
      ? `If it is called "${heir}" now, ${add} to tasks/${heir}/manifest.ts.`
      : `If it has another name now, ${add} to the manifest of that task.`;
    const error = `${tellUnknown(delivery, this.#tasks)} ${fate} (\`worker.unknownTaskDeadline\`). ${cure}`;
    this.#log.warn({ queue, task: name, jobId, error }, 'Task unknown');
  }

  #isNew(name: string, now: number): boolean {
    for (const [told, at] of this.#toldAt) {
      if (now - at < tellAgainMs) break;
      this.#toldAt.delete(told);
    }
    if (this.#toldAt.has(name) || this.#toldAt.size >= mostNames) return false;
    this.#toldAt.set(name, now);
    return true;
  }
}
