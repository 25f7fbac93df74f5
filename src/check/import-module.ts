import { existsSync } from 'node:fs';
import { importDefault } from '../app/app-files.ts';
import { type ExportKind, findExportProblem } from '../app/check-export.ts';
import { IsletError } from '../errors.ts';

/** A module that a process of its own is to import. */
export interface ModuleToImport {
  file: string;
  /** The folder's name. */
  name: string;
  /** `value`: a manifest or the settings, of which only data comes back. */
  exports: ExportKind | 'value';
}

/** What came of it. */
export type Imported =
  | { ok: true; ms: number; value: unknown }
  /** Without a stack, the message is about the file as a whole, and does not name it. */
  | { ok: false; code: string | undefined; message: string; stack: string };

/** What the process says to its parent: it begins with a module, or has done with it. */
export type Told = { begun: number } | { done: number; imported: Imported };

const refused = (message: string): Imported => ({ ok: false, code: undefined, message, stack: '' });

async function importModule({ file, name, exports }: ModuleToImport): Promise<Imported> {
  if (!existsSync(file)) return refused('it is not there.');
  const startedAt = performance.now();
  try {
    const value = await importDefault(file);
    const problem = exports === 'value' ? undefined : findExportProblem(exports, value, name);
    if (problem !== undefined) return refused(problem);
    const ms = Math.round(performance.now() - startedAt);
    // A schema does not travel; what is compared across files does.
    return { ok: true, ms, value: exports === 'value' ? toData(value) : undefined };
  } catch (error) {
    const thrown = error instanceof Error ? error : new Error(String(error));
    const code = thrown instanceof IsletError ? thrown.code : undefined;
    return { ok: false, code, message: thrown.message, stack: thrown.stack ?? '' };
  }
}

function toData(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  const { kind, name, queue, formerNames, priority } = value as Record<string, unknown>;
  return { kind, name, queue, formerNames, priority };
}

const tell = (told: Told) => process.send?.(told);

process.once('message', async (modules: ModuleToImport[]) => {
  for (const [index, module] of modules.entries()) {
    tell({ begun: index });
    tell({ done: index, imported: await importModule(module) });
  }
});
