import type { Delivery, Failure } from '../broker/broker.ts';
import { hidePasswords } from '../errors.ts';
import type { Log } from '../log.ts';
import { identify } from './create-context.ts';
import type { HookedJob, Hooks, JobEnd, LoadedHooks } from './hooks.ts';

/** The hooks of one queue's jobs. */
export interface JobHooks {
  around<T>(delivery: Delivery, work: () => Promise<T>): Promise<T>;
  failed(delivery: Delivery, failure: Failure): Promise<void>;
}

/** How long a hook may take before and after a job, in milliseconds. */
const limitMs = 5_000;

/** What a thrown value says, without passwords. */
export const textOf = (error: unknown) => hidePasswords(error instanceof Error ? error.message : String(error));

/** Waits for a hook, but not for ever, and says what went wrong with it. */
export async function bounded(call: () => Promise<unknown>, warn: (problem: string) => void): Promise<void> {
  const limit = createLimit();
  const called = call().then(
    () => true,
    (error) => {
      warn(textOf(error));
      return true;
    },
  );
  if (!(await Promise.race([called, limit.over]))) warn(`it did not end within ${limitMs} ms`);
  limit.stop();
}

function createLimit() {
  let stop = () => {};
  const over = new Promise<false>((resolve) => {
    const timer = setTimeout(() => resolve(false), limitMs);
    stop = () => clearTimeout(timer);
  });
  return { over, stop };
}

type Around = NonNullable<Hooks['aroundJob']>;

/** Runs `work` once, inside the hook if that calls `run` in time, else beside it; its end is the work's. */
async function runInside<T>(
  hook: Around,
  job: HookedJob,
  work: () => Promise<T>,
  warn: (problem: string) => void,
): Promise<T> {
  let running: Promise<T> | undefined;
  let onStart = () => {};
  const started = new Promise<void>((resolve) => {
    onStart = resolve;
  });
  const start = () => {
    running ??= work();
    onStart();
    return running;
  };
  const run = () =>
    start().then(
      (): JobEnd => ({ ok: true }),
      (error: unknown): JobEnd => ({ ok: false, error }),
    );
  const over = (async () => hook(job, run))().catch((error) => warn(textOf(error)));
  const limit = createLimit();
  await Promise.race([started, over, limit.over]);
  limit.stop();
  if (!running) warn('it did not call run: the job runs without it');
  const end = start();
  await Promise.allSettled([end]);
  await bounded(() => over, warn);
  return end;
}

/** Joins the hooks of a queue's jobs, the outermost first; undefined when there are none. */
export function joinHooks(loaded: readonly LoadedHooks[], log: Log): JobHooks | undefined {
  if (!loaded.some(({ aroundJob, onJobFailed }) => aroundJob ?? onJobFailed)) return undefined;
  const toJob = ({ jobId: id, task, queue, attempt, input: payload }: Delivery): HookedJob =>
    Object.freeze({ id, task, queue, attempt, payload });
  const warnOf = (delivery: Delivery, file: string, hook: string) => (problem: string) =>
    log.warn({ ...identify(delivery), file, hook, problem }, 'A hook failed');
  return {
    around(delivery, work) {
      const job = toJob(delivery);
      return loaded.reduceRight((inner, { aroundJob, file }) => {
        if (!aroundJob) return inner;
        return () => runInside(aroundJob, job, inner, warnOf(delivery, file, 'aroundJob'));
      }, work)();
    },
    async failed(delivery, failure) {
      const job = toJob(delivery);
      for (const { onJobFailed, file } of loaded) {
        await bounded(async () => onJobFailed?.(job, failure), warnOf(delivery, file, 'onJobFailed'));
      }
    },
  };
}
