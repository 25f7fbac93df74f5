import { deepStrictEqual } from 'node:assert';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { IsletError } from '../errors.ts';
import type { Refused } from '../manifest/checked.ts';
import type { AnyTask, PayloadInput } from '../manifest/define-task.ts';
import { deriveJobId } from '../producer/job-id.ts';
import type { EnqueuePort } from '../worker/enqueue-port.ts';
import type { Task } from '../worker/task-context.ts';
import { type CallWatcher, createFakeDeps, type Fakes, watchCalls } from './fakes.ts';
import { runOnce, testJobId } from './run-task.ts';

export interface IdempotencyOptions<Given extends object> {
  /** Makes the fakes of a world in which nothing has happened yet; called for each case anew. Default: no fakes. */
  deps?: () => Given;
  /** Reads from the fakes what the task did to the world, as data that can be compared. */
  effects: (deps: Given) => unknown;
}

type RunsTwice<M extends AnyTask, Dependencies extends object> = M['delivery'] extends 'at-least-once'
  ? Task<M, Dependencies>
  : Refused<'an at-most-once task is never run twice: test it with runTask'>;

interface Interruption {
  /** Which call on a fake, from 0. */
  call: number;
  when: 'before' | 'after';
}

/** What is known of the calls from a run that nothing interrupted. */
interface Observed {
  paths: string[];
  /** Those that return a promise, so that a dead one's answer can be held back for ever. */
  async: Set<string>;
}

/** A call in a process that has died: nobody catches this. */
class Interrupted extends Error {}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof (value as { then?: unknown } | undefined)?.then === 'function';

/** One process that runs the task: it dies at the interruption, and nothing it still does counts. */
function createProcess(stopAt: Interruption | undefined, known: Observed) {
  const seen: Observed = { paths: [], async: new Set() };
  let dead = false;
  let resolveDeath = () => {};
  const death = new Promise<void>((resolve) => {
    resolveDeath = resolve;
  });
  const never = (path: string) => {
    if (known.async.has(path)) return new Promise(() => {});
    throw new Interrupted(`interrupted at ${path}`);
  };
  const die = (path: string) => {
    dead = true;
    resolveDeath();
    return never(path);
  };
  const watch: CallWatcher = (path, call) => {
    if (dead) return never(path);
    const stops = stopAt?.call === seen.paths.length ? stopAt.when : undefined;
    seen.paths.push(path);
    if (stops === 'before') return die(path);
    const returned = call();
    if (isThenable(returned)) seen.async.add(path);
    if (stops === undefined) return returned;
    if (!isThenable(returned)) return die(path);
    const end = () => die(path);
    return Promise.resolve(returned).then(end, end);
  };
  return { seen, death, watch };
}

type Process = ReturnType<typeof createProcess>;

/** What a task can change: its fakes, and the jobs that it enqueues. */
function createWorld<Given extends object>(task: Task, payload: unknown, options: IdempotencyOptions<Given>) {
  const fakes = (options.deps?.() ?? {}) as Given;
  const jobs = new Map<string, { task: string; payload: unknown }>();
  const createEnqueue = ({ watch }: Process): EnqueuePort['enqueue'] => {
    let index = 0;
    return async (manifest, childPayload) => {
      const id = deriveJobId(testJobId, index++);
      return watch('enqueue', async () => {
        // As in Redis: an id stands for the first job that had it.
        if (!jobs.has(id)) jobs.set(id, { task: manifest.name, payload: childPayload });
        return { id };
      }) as Promise<{ id: string }>;
    };
  };
  return {
    effects: async () => ({ effects: await options.effects(fakes), enqueued: [...jobs] }),
    run(process: Process) {
      const deps = createFakeDeps(`Task "${task.manifest.name}"`, watchCalls(fakes, process.watch));
      const stop = new AbortController();
      const over = runOnce(task, payload, { deps, attempt: 1, signal: stop.signal, enqueue: createEnqueue(process) });
      return { over, stop };
    },
  };
}

function refuse(task: AnyTask, what: string, cause?: unknown): IsletError {
  const said = cause instanceof Error ? `\n${cause.message}` : '';
  return new IsletError('E_NOT_IDEMPOTENT', `Task "${task.name}" is not idempotent: ${what}${said}`, { cause });
}

/**
 * Proves that a task may run twice, and that it may die anywhere: runs it once, runs it twice, and, for each call that it
 * makes on a fake or on `enqueue`, lets its process die before and after that call and runs it again. Each time `effects`,
 * and the jobs that the task enqueued, must be those of one run. Throws `E_NOT_IDEMPOTENT`, which names the call and shows
 * the difference.
 */
export async function expectIdempotent<
  M extends AnyTask,
  Dependencies extends object,
  Given extends Fakes<Dependencies> = Fakes<Dependencies>,
>(task: RunsTwice<M, Dependencies>, payload: PayloadInput<M>, options: IdempotencyOptions<Given>): Promise<void> {
  const repeated = task as unknown as Task;
  const { manifest } = repeated;
  if (manifest.delivery !== 'at-least-once') {
    throw refuse(manifest, 'it is at-most-once, so nothing runs it twice. Test it with runTask instead.');
  }
  const world = () => createWorld(repeated, payload, options);
  const unknown: Observed = { paths: [], async: new Set() };

  /** Runs to the end in a process of its own. */
  const complete = async (there: ReturnType<typeof world>, known: Observed, what: string) => {
    const process = createProcess(undefined, known);
    const outcome = await there.run(process).over;
    if (outcome.kind === 'completed') return process.seen;
    const error = 'error' in outcome ? outcome.error : undefined;
    throw refuse(manifest, `${what} ended as "${outcome.kind}".`, error);
  };
  const compare = (actual: unknown, expected: unknown, what: string) => {
    try {
      deepStrictEqual(actual, expected);
    } catch (cause) {
      throw refuse(manifest, `${what}, its effects are not those of one run.`, cause);
    }
  };

  const first = world();
  const known = await complete(first, unknown, 'its first run');
  const expected = await first.effects();

  const second = world();
  await complete(second, known, 'its first run');
  await complete(second, known, 'run twice, its second run');
  compare(await second.effects(), expected, 'run twice');

  for (const [call, path] of known.paths.entries()) {
    for (const when of ['before', 'after'] as const) {
      const what = `interrupted ${when} call ${call + 1} (${path}) and run again`;
      const there = world();
      const process = createProcess({ call, when }, known);
      const { over, stop } = there.run(process);
      await Promise.race([over, process.death]);
      // What does not wait for the dead call runs on, and finds nothing that answers.
      await nextTurn();
      await complete(there, known, `${what}, its second run`);
      compare(await there.effects(), expected, what);
      stop.abort(new Interrupted('the process is dead'));
    }
  }
}
