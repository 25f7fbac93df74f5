import { existsSync } from 'node:fs';
import { importDefault } from '../../app/app-files.ts';
import { type ExportKind, findExportProblem } from '../../app/check-export.ts';
import { IsletError } from '../../errors.ts';
import { type Seen, type Watch, watchImports } from './watch-imports.ts';

/** A module that a process of its own is to import. */
export interface ModuleToImport {
  file: string;
  /** The folder's name. */
  name: string;
  /** `manifest`: its data comes back, and is checked with the others'. `anything`: nobody asks what it exports. */
  exports: ExportKind | 'manifest' | 'anything';
}

/** What the process is sent. */
export interface ImportOrder {
  modules: ModuleToImport[];
  /** What to look at besides. */
  watch?: Watch | undefined;
}

/** What is compared across manifests. A schema does not travel. */
export interface ManifestData {
  kind?: unknown;
  name?: unknown;
  queue?: unknown;
  formerNames?: unknown;
  priority?: unknown;
  load?: unknown;
  pool?: unknown;
  budget?: unknown;
}

export interface FailedImport {
  ok: false;
  /** Of an error of Islet's own: its message says it all. */
  code: string | undefined;
  /** Begins in lower case, and names neither the module nor its file; the whole message where there is a code. */
  message: string;
  /** Where to look for the place. Empty when the message is about the file as a whole, and says what to do. */
  stack: string;
}

/** What came of it. */
export type Imported = { ok: true; ms: number; rssBytes: number; value: unknown } | FailedImport;

/** What the process says to its parent, by this name: the modules may send messages of their own. */
export interface Told {
  islet: 'imported';
  imported: Imported;
  /** `last`: the process is of no use any more. `crashing`: what it writes when it ends tells the place. */
  state: 'going-on' | 'last' | 'crashing';
  /** Of all modules, with the last one, where it was asked for. */
  seen?: Seen | undefined;
}

const refused = (message: string): FailedImport => ({ ok: false, code: undefined, message, stack: '' });

function thrown(error: unknown, how: string): FailedImport {
  const { message, stack = '' } = error instanceof Error ? error : new Error(String(error));
  if (error instanceof IsletError) return { ok: false, code: error.code, message, stack };
  return { ok: false, code: undefined, message: `${how}: ${message}`, stack };
}

function toData(value: unknown): ManifestData | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { kind, name, queue, formerNames, priority, load, pool, budget } = value as ManifestData;
  return { kind, name, queue, formerNames, priority, load, pool, budget };
}

/** Node tells the place of a wrong syntax only when it dies of it. */
function dieOf(error: SyntaxError): Promise<never> {
  process.removeAllListeners('uncaughtException');
  setImmediate(() => {
    throw error;
  });
  return new Promise(() => {});
}

async function importModule({ file, name, exports }: ModuleToImport): Promise<Imported | { syntax: SyntaxError }> {
  if (!existsSync(file)) return refused('the file is not there. Add it.');
  const startedAt = performance.now();
  try {
    const value = await importDefault(file);
    const ms = Math.round(performance.now() - startedAt);
    const imported = { ok: true, ms, rssBytes: process.memoryUsage.rss(), value: undefined } as const;
    if (exports === 'manifest') return { ...imported, value: toData(value) };
    const problem = exports === 'anything' ? undefined : findExportProblem(exports, value, name);
    return problem === undefined ? imported : refused(problem);
  } catch (error) {
    if (error instanceof SyntaxError && !error.stack?.startsWith('file:')) return { syntax: error };
    return thrown(error, 'it could not be imported');
  }
}

/** Imports one module after the other, and tells of each what came of it. */
async function importAll({ modules, watch }: ImportOrder): Promise<void> {
  // Its parent kills it at the end. Until then it must not outlive its parent, nor be kept alive by the channel alone.
  process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  process.channel?.unref();
  const send = process.send?.bind(process);
  // As in a worker, so that a module that would tell its parent something finds none.
  process.send = undefined;
  const tell = (imported: Imported, state: Told['state'] = 'going-on', seen?: Seen) =>
    new Promise((resolve) =>
      send?.({ islet: 'imported', imported, state, seen } satisfies Told, undefined, {}, resolve),
    );
  process.on('uncaughtException', (error) => tell(thrown(error, 'an exception escaped from its import'), 'last'));
  process.once('beforeExit', () =>
    tell(refused('it waits at its top level for something that never comes. Wait in a function.'), 'last'),
  );
  const look = watch && watchImports(watch);
  for (const [index, module] of modules.entries()) {
    const imported = await importModule(module);
    if ('syntax' in imported) {
      await tell(thrown(imported.syntax, 'it could not be imported'), 'crashing');
      await dieOf(imported.syntax);
      return;
    }
    // What it left to fail fails now, as its own.
    await new Promise(setImmediate);
    await tell(imported, 'going-on', index === modules.length - 1 ? look?.() : undefined);
  }
}

// The app's own places stand below those of the packages that it calls.
Error.stackTraceLimit = 50;
process.once('message', importAll);
