import { existsSync } from 'node:fs';
import { importDefault } from '../../app/app-files.ts';
import { findTaskProblem } from '../../app/check-export.ts';
import { IsletError } from '../../errors.ts';
import { type Seen, type Watch, watchImports } from './watch-imports.ts';

/** A module that is to be imported in a process of its own. */
export interface ModuleToImport {
  file: string;
  /** The name of the module's folder. */
  name: string;
  /**
   * What the module has to export. The data of a `manifest` comes back and is checked together with the others;
   * `anything` is for modules whose exports do not matter.
   */
  exports: 'task' | 'function' | 'settings' | 'manifest' | 'anything';
}

/** What the process is sent. */
export interface ImportOrder {
  modules: ModuleToImport[];
  /** What to record of the process besides. */
  watch?: Watch | undefined;
}

/** The part of a manifest that is compared with others. A schema cannot be sent to another process. */
export interface ManifestData {
  kind?: unknown;
  name?: unknown;
  queue?: unknown;
  bullmq?: unknown;
  formerNames?: unknown;
  priority?: unknown;
  load?: unknown;
  pool?: unknown;
  budget?: unknown;
}

export interface FailedImport {
  ok: false;
  /** The code of an error of Islet's own, whose message says everything. */
  code: string | undefined;
  /** A clause in lower case that names neither the module nor its file; with a code, the whole message of the error. */
  message: string;
  /** Where the place is looked for. Empty when the message is about the file as a whole and says what to do. */
  stack: string;
}

/** How the import of a module ended. */
export type Imported = { ok: true; ms: number; rssBytes: number; value: unknown } | FailedImport;

/** A message from the process to its parent. It bears Islet's name, since modules may send messages of their own. */
export interface Told {
  islet: 'imported';
  imported: Imported;
  /** After `last` the process cannot go on. A `crashing` process writes the place of the error when it ends. */
  state: 'going-on' | 'last' | 'crashing';
  /** What was seen of all modules, in the message about the last one. */
  seen?: Seen | undefined;
}

const refused = (message: string): FailedImport => ({ ok: false, code: undefined, message, stack: '' });

function thrown(error: unknown, how: string): FailedImport {
  const { message, stack = '' } = error instanceof Error ? error : new Error(String(error));
  if (error instanceof IsletError) return { ok: false, code: error.code, message, stack };
  return { ok: false, code: undefined, message: `${how}: ${message}`, stack };
}

const isObject = (value: unknown) => typeof value === 'object' && value !== null;

function toData(value: unknown): ManifestData | undefined {
  if (!isObject(value)) return undefined;
  const { kind, name, queue, bullmq, formerNames, priority, load, pool, budget } = value as ManifestData;
  return { kind, name, queue, bullmq, formerNames, priority, load, pool, budget };
}

/** Lets the process die of a syntax error, since Node tells the place of such an error in no other way. */
function dieOf(error: SyntaxError): Promise<never> {
  process.removeAllListeners('uncaughtException');
  setImmediate(() => {
    throw error;
  });
  return new Promise(() => {});
}

function findExportProblem(kind: ModuleToImport['exports'], value: unknown, name: string): string | undefined {
  if (kind === 'task') return findTaskProblem(value, name);
  if (kind === 'function' && typeof value !== 'function') return 'it must export a function by default.';
  const { redis, log } = (value ?? {}) as { redis?: unknown; log?: unknown };
  if (kind === 'settings' && !(isObject(redis) && isObject(log))) {
    return 'it must export by default what readConfig() returns.';
  }
  return undefined;
}

async function importModule({ file, name, exports }: ModuleToImport): Promise<Imported | { syntax: SyntaxError }> {
  if (!existsSync(file)) return refused('the file is not there. Add it.');
  const startedAt = performance.now();
  try {
    const value = await importDefault(file);
    const ms = Math.round(performance.now() - startedAt);
    const imported = { ok: true, ms, rssBytes: process.memoryUsage.rss(), value: undefined } as const;
    if (exports === 'manifest') return { ...imported, value: toData(value) };
    const problem = findExportProblem(exports, value, name);
    return problem === undefined ? imported : refused(problem);
  } catch (error) {
    if (error instanceof SyntaxError && !error.stack?.startsWith('file:')) return { syntax: error };
    return thrown(error, 'it could not be imported');
  }
}

/** Imports one module after the other, and tells of each what came of it. */
async function importAll({ modules, watch }: ImportOrder): Promise<void> {
  // The parent kills this process at the end. Until then it must not outlive its parent, and the channel alone must not
  // keep it alive.
  process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  process.channel?.unref();
  const send = process.send?.bind(process);
  // A module that talks to a parent process must find none, as in a worker.
  process.send = undefined;
  const tell = (imported: Imported, state: Told['state'] = 'going-on', seen?: Seen) =>
    new Promise((resolve) =>
      send?.({ islet: 'imported', imported, state, seen } satisfies Told, undefined, {}, resolve),
    );
  process.on('uncaughtException', (error) => tell(thrown(error, 'an exception escaped from its import'), 'last'));
  process.once('beforeExit', () =>
    tell(
      refused('it waits at its top level for something that never comes. Move the waiting into a function.'),
      'last',
    ),
  );
  const look = watch && watchImports(watch);
  for (const [index, module] of modules.entries()) {
    const imported = await importModule(module);
    if ('syntax' in imported) {
      await tell(thrown(imported.syntax, 'it could not be imported'), 'crashing');
      await dieOf(imported.syntax);
      return;
    }
    // A promise that the module left to reject fails now, so that the failure is blamed on this module.
    await new Promise(setImmediate);
    await tell(imported, 'going-on', index === modules.length - 1 ? look?.() : undefined);
  }
}

// In a stack, the app's own frames stand below those of the packages that it calls.
Error.stackTraceLimit = 50;
process.once('message', importAll);
