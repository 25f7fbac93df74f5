import { deepStrictEqual } from 'node:assert';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { IsletError } from '../errors.ts';
import { checks } from '../manifest/check-options.ts';
import type { Refused } from '../manifest/checked.ts';
import type { AnyTask, PayloadInput } from '../manifest/define-task.ts';
import type { JobMeta } from '../manifest/meta.ts';
import type { Enqueue, Task } from '../worker/task-context.ts';
import { checkGiven, checkGivenOptions, copyMeta, metaCheck, misused } from './check-given.ts';
import { createFakeDeps, type Fakes } from './fakes.ts';
import { type ChildJob, createTestEnqueue, implementation, runOnce } from './run-task.ts';
import { type CallWatcher, watchCalls } from './watch-calls.ts';

export interface IdempotencyOptions<Given extends object> {
  /**
   * Makes the fakes of a world in which nothing has happened yet. Each case calls it anew, so everything that the fakes
   * remember has to be made inside it. Worlds that differ at their start throw `E_TEST_INVALID`. Default: no fakes.
   */
  deps?: () => Given;
  /**
   * Reads from these fakes what the task did to the world, as data: what `structuredClone` can copy, else
   * `E_TEST_INVALID`. May return a promise. Leave out what differs from run to run, such as times and random ids, and how
   * often the world was only read. Also called on new worlds, before the task runs. The jobs that the task enqueues are
   * compared without it.
   */
  effects: (deps: Given) => unknown;
  /** What each run of the task sees as its `meta`, as of `runTask`. Default: none. */
  meta?: JobMeta;
}

const idempotencyChecks = { deps: checks.callable, effects: checks.callable, meta: metaCheck };

type RunsTwice<M extends AnyTask, Dependencies extends object> = M['delivery'] extends 'at-least-once'
  ? Task<M, Dependencies>
  : Refused<'an at-most-once task is never run twice: test it with runTask'>;

interface Interruption {
  /** The number of the call on a fake, from 0. */
  call: number;
  when: 'before' | 'after';
}

/** What a run that nothing interrupted has shown of its calls. */
interface Observed {
  paths: string[];
  /** The calls that return a promise, so that the answer of a dead process can be held back for ever. */
  async: Set<string>;
}

/** Thrown by a call in a process that has died; nobody catches it. */
class Interrupted extends Error {}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof (value as { then?: unknown } | undefined)?.then === 'function';

/** Creates a process that runs the task. It dies at the interruption, and nothing that it still does counts. */
function createProcess(stopAt: Interruption | undefined, known: Observed) {
  const seen: Observed = { paths: [], async: new Set() };
  const stop = new AbortController();
  let dead = false;
  let resolveDeath = () => {};
  const death = new Promise<void>((resolve) => {
    resolveDeath = resolve;
  });
  const never = (path: string) => {
    const throws = known.paths.includes(path) && !known.async.has(path) && !stop.signal.aborted;
    // A listener of the signal must not throw: the error would escape into the test runner.
    if (!throws) return new Promise(() => {});
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
  /** Waits for the end of the process, and leaves no code running that heeds its signal. */
  const end = async (over: Promise<unknown>) => {
    try {
      await Promise.race([over, death]);
    } finally {
      if (dead) stop.abort(new Interrupted('the process is dead'));
    }
    // Code that does not wait for the dead call runs on, and finds nothing that answers.
    await nextTurn();
  };
  return { seen, signal: stop.signal, watch, end };
}

type Process = ReturnType<typeof createProcess>;

/** Copies effects, so that later runs cannot change them. */
function copyEffects<T>(effects: T, manifest: AnyTask): T {
  try {
    return structuredClone(effects);
  } catch (cause) {
    // The message may quote a whole function.
    const said = (cause as Error).message.replace(/\s+/g, ' ').slice(-100);
    const seen = `The effects of task "${manifest.name}" cannot be copied: ${said}`;
    throw misused(`${seen} Let \`effects\` return data only, without functions.`);
  }
}

/** Creates what a task can change: its fakes, and the jobs that it enqueues. */
function createWorld<Given extends object>(task: Task, payload: unknown, options: IdempotencyOptions<Given>) {
  const fakes = (options.deps?.() ?? {}) as Given;
  const meta = copyMeta(options.meta);
  const jobs = new Map<string, ChildJob>();
  const createWatchedEnqueue = ({ watch }: Process): Enqueue => {
    const enqueue = createTestEnqueue(meta, (job) => {
      // An id stands for the first job that had it, as in Redis.
      if (!jobs.has(job.id)) jobs.set(job.id, job);
    });
    return (...args) => watch('enqueue', () => enqueue(...args)) as Promise<{ id: string }>;
  };
  const effects = async () => copyEffects({ effects: await options.effects(fakes), enqueued: jobs }, task.manifest);
  return {
    effects,
    /** Reads the effects before anything ran, where `effects` may fail for lack of a first row. */
    untouched: () => effects().catch((error: unknown) => `${error}`),
    run(process: Process) {
      const guarded = createFakeDeps(`Task "${task.manifest.name}"`, fakes);
      const deps = watchCalls(guarded, process.watch);
      const { signal } = process;
      return runOnce(task, payload, { deps, attempt: 1, signal, meta, enqueue: createWatchedEnqueue(process) });
    },
  };
}

/** Returns how two values differ, in words for a person, or nothing when they do not. */
function findDifference(actual: unknown, expected: unknown): Error | undefined {
  try {
    deepStrictEqual(actual, expected);
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

/** Opens worlds in which nothing has happened yet. Refuses those that are not alike. */
async function openWorlds<Given extends object>(task: Task, payload: unknown, options: IdempotencyOptions<Given>) {
  const untouched = await createWorld(task, payload, options).untouched();
  const openWorld = async (advice: string) => {
    const world = createWorld(task, payload, options);
    const difference = findDifference(await world.untouched(), untouched);
    if (!difference) return world;
    const seen = `The effects in a new world differ before task "${task.manifest.name}" has run in it`;
    throw misused(`${seen}: ${advice}\n${difference.message}`);
  };
  await openWorld('`effects` must leave out what differs from world to world, such as times and random ids.');
  return () =>
    openWorld('`deps` must make a new world each time, and `effects` must read nothing that was made outside of it.');
}

type World = ReturnType<typeof createWorld>;

function refuse(task: AnyTask, what: string, cause?: unknown): IsletError {
  const said = cause instanceof Error ? `\n${cause.message}` : '';
  return new IsletError('E_NOT_IDEMPOTENT', `Task "${task.name}" is not idempotent: ${what}${said}`, { cause });
}

/**
 * Proves that a task may run twice, and that it may die anywhere: runs it once, runs it twice, and, for each call that it
 * makes on a fake or on `enqueue`, lets its process die before and after that call and runs it again. Each time `effects`,
 * and the jobs that the task enqueued, must be those of one run. Throws `E_NOT_IDEMPOTENT`, which names the call and shows
 * the difference, and `E_TEST_INVALID` when `deps` or `effects` cannot show one.
 */
export async function expectIdempotent<
  M extends AnyTask,
  Dependencies extends object,
  Given extends Fakes<Dependencies> = Fakes<Dependencies>,
>(task: RunsTwice<M, Dependencies>, payload: PayloadInput<M>, options: IdempotencyOptions<Given>): Promise<void> {
  checkGiven('The task of expectIdempotent', task, implementation);
  checkGivenOptions('expectIdempotent', options, idempotencyChecks, ['effects']);
  const repeated = task as unknown as Task;
  const { manifest } = repeated;
  if (manifest.delivery !== 'at-least-once') {
    throw refuse(manifest, 'it is at-most-once, so nothing runs it twice. Test it with runTask instead.');
  }
  const newWorld = await openWorlds(repeated, payload, options);
  const unknown: Observed = { paths: [], async: new Set() };

  /** Runs the task to its end in a process of its own. */
  const complete = async (there: World, known: Observed, what: string) => {
    const process = createProcess(undefined, known);
    const outcome = await there.run(process);
    if (outcome.kind === 'completed') return process.seen;
    const error = 'error' in outcome ? outcome.error : undefined;
    throw refuse(manifest, `${what} ended as "${outcome.kind}".`, error);
  };
  const compare = (actual: unknown, expected: unknown, what: string) => {
    const difference = findDifference(actual, expected);
    if (difference) throw refuse(manifest, `${what}, its effects are not those of one run.`, difference);
  };

  const first = await newWorld();
  const known = await complete(first, unknown, 'its first run');
  const expected = await first.effects();

  const second = await newWorld();
  await complete(second, known, 'its first run');
  await complete(second, known, 'run twice, its second run');
  compare(await second.effects(), expected, 'run twice');

  for (const [call, path] of known.paths.entries()) {
    for (const when of ['before', 'after'] as const) {
      const what = `interrupted ${when} call ${call + 1} (${path}) and run again`;
      const there = await newWorld();
      const process = createProcess({ call, when }, known);
      await process.end(there.run(process));
      await complete(there, known, `${what}, its second run`);
      compare(await there.effects(), expected, what);
    }
  }
}
