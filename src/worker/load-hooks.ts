import type { ModuleSource } from '../app/app-source.ts';
import { IsletError } from '../errors.ts';
import type { Log } from '../log.ts';
import { callInTime, currentHook, type HookCall, warnOf } from './call-hook.ts';
import { toFailure } from './describe-error.ts';
import type { Hooks, WorkerStart } from './hooks.ts';
import type { QueueHost } from './task-context.ts';

export type LoadedHooks = Hooks & { readonly file: string };

const names = ['aroundJob', 'onJobFailed', 'onWorkerStart', 'onWorkerStop'] as const;

function hooksFailed(file: string, said: string, cause?: unknown): IsletError {
  return new IsletError('E_HOOKS_FAILED', `The hooks in ${file} failed: ${said}. The worker did not start.`, { cause });
}

function checkHooks(file: string, hooks: unknown): asserts hooks is Hooks {
  const what = 'its function must return an object of hooks';
  if (typeof hooks !== 'object' || hooks === null) throw hooksFailed(file, what);
  const isPlain = Object.getPrototypeOf(hooks) === Object.prototype;
  // An object of a class may hold what its hooks need.
  const unknown = isPlain ? Object.keys(hooks).find((name) => !names.some((known) => known === name)) : undefined;
  const use = `Use one of ${names.join(', ')}`;
  if (unknown !== undefined) throw hooksFailed(file, `there is no hook "${unknown}". ${use}`);
  if (!isPlain && !names.some((name) => name in hooks)) throw hooksFailed(file, `its object has no hook. ${use}`);
  for (const name of names) {
    const hook = (hooks as Hooks)[name];
    if (hook !== undefined && typeof hook !== 'function') throw hooksFailed(file, `"${name}" must be a function`);
  }
}

/** Imports the hooks of one file, and makes them. Throws `E_HOOKS_FAILED`. */
export async function loadHooks({ file, load }: ModuleSource, host: QueueHost): Promise<LoadedHooks> {
  try {
    const create = await load();
    if (typeof create !== 'function') throw hooksFailed(file, 'it must export a function by default');
    const hooks: unknown = await currentHook.run({ warn: warnOf(host.log, file, 'default') }, () => create(host));
    checkHooks(file, hooks);
    // A hook may be a method, and keeps its object.
    const bound = names.map((name) => [name, hooks[name]?.bind(hooks)] as const);
    return { ...Object.fromEntries(bound), file };
  } catch (cause) {
    if (cause instanceof IsletError && cause.code === 'E_HOOKS_FAILED') throw cause;
    throw hooksFailed(file, toFailure(cause).causeMessage, cause);
  }
}

/** Tells hooks that the worker starts, and returns how to tell them that it has stopped. Throws `E_HOOKS_FAILED`. */
export async function startHooks(
  { file, onWorkerStart, onWorkerStop }: LoadedHooks,
  started: WorkerStart,
  { log, timers }: { log: Log; timers: HookCall['timers'] },
): Promise<() => Promise<void>> {
  try {
    await currentHook.run({ warn: warnOf(log, file, 'onWorkerStart') }, () => onWorkerStart?.(started));
  } catch (cause) {
    throw hooksFailed(file, `onWorkerStart threw: ${toFailure(cause).causeMessage}`, cause);
  }
  const { queues } = started;
  return () => callInTime(() => onWorkerStop?.({ queues }), { timers, warn: warnOf(log, file, 'onWorkerStop') });
}
