import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { defaultProfile, launchProfiles } from '../../launch-profiles.ts';
import type { FailedImport, Imported, ImportOrder, ModuleToImport, Told } from './import-module.ts';
import type { Seen, Watch } from './watch-imports.ts';

/** How many milliseconds the import of one module may take. */
const defaultLimitMs = 30_000;

/**
 * How many milliseconds after the end of a process its last output is waited for. The end of the output itself may not
 * come: a process that it started may hold the pipe open.
 */
const drainMs = 200;

/** How many of the last characters that a process wrote are shown when it ended unexpectedly. */
const tailLength = 500;

const program = fileURLToPath(import.meta.url).replace(/import-apart(\.[jt]s)$/, 'import-module$1');

const failed = (message: string, stack = ''): FailedImport => ({ ok: false, code: undefined, message, stack });

function isTold(message: unknown): message is Told {
  return (message as Partial<Told> | null)?.islet === 'imported';
}

function collectOutput(child: ChildProcess): () => string {
  let written = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text) => {
      written += text;
    });
  }
  return () => written.trim();
}

function explainEnd(code: number | null, signal: string | null, written: string): FailedImport {
  const how = signal ? `by ${signal}` : `with exit code ${code}`;
  const tail = written.length > tailLength ? `...${written.slice(-tailLength)}` : written;
  return failed(
    `its import ended the process ${how}, which an import must not do.${tail === '' ? '' : ` It wrote: ${tail}`}`,
    written,
  );
}

/** How the import of modules ended, and what was seen of the process if none of them failed. */
interface Watched {
  results: Imported[];
  seen: Seen | undefined;
}

/** Returns the flags of a worker for a process that is weighed, else source maps, which show where imports fail. */
const flagsFor = (watch: Watch | undefined) =>
  watch ? [...launchProfiles[defaultProfile].flags, '--expose-gc'] : ['--enable-source-maps'];

/** Imports modules in one process, in their order, until one ends the process or takes too long. */
function importInOneProcess({ modules, watch }: ImportOrder, cwd: string, limitMs: number): Promise<Watched> {
  const execArgv = flagsFor(watch);
  const child = fork(program, [], { cwd, execArgv, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  const output = collectOutput(child);
  const results: Imported[] = [];
  let seen: Seen | undefined;
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    let over = false;
    let dying: FailedImport | undefined;
    const end = (last?: Imported) => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      if (last && results.length < modules.length) results.push(last);
      const leave = () => {
        for (const stream of [child.stdout, child.stderr]) stream?.destroy();
        resolve({ results, seen });
      };
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return leave();
      child.once('exit', leave);
      child.kill('SIGKILL');
    };
    const startLimit = () => {
      clearTimeout(timer);
      timer = setTimeout(
        () => end(failed(`its import did not end within ${limitMs / 1_000} s. Move the waiting into a function.`)),
        limitMs,
      );
    };
    child.on('message', (message) => {
      if (over || !isTold(message)) return;
      const { imported, state } = message;
      if (state === 'crashing' && !imported.ok) {
        dying = imported;
        return;
      }
      results.push(imported);
      seen = message.seen;
      if (state === 'last' || results.length === modules.length) end();
      else startLimit();
    });
    child.on('exit', (code, signal) => {
      if (over) return;
      clearTimeout(timer);
      const tell = () => end(dying ? { ...dying, stack: output() } : explainEnd(code, signal, output()));
      timer = setTimeout(tell, drainMs);
      child.once('close', tell);
    });
    child.on('error', (error) => end(failed(`no process could be started for it: ${error.message}`)));
    startLimit();
    // The process may have ended before it could listen. Its end is reported then, and not the failed message.
    child.send({ modules, watch } satisfies ImportOrder, () => {});
  });
}

/**
 * Imports modules in a process of their own, and returns how the import of each ended. When a module ends the process, or
 * hangs, those after it are imported in another process.
 */
export async function importApart(
  modules: ModuleToImport[],
  cwd: string,
  limitMs = defaultLimitMs,
): Promise<Imported[]> {
  const results: Imported[] = [];
  while (results.length < modules.length) {
    results.push(...(await importInOneProcess({ modules: modules.slice(results.length) }, cwd, limitMs)).results);
  }
  return results;
}

/** Imports modules in one process, and records what it loads and takes. Nothing is recorded if one of them fails. */
export async function watchApart(modules: ModuleToImport[], cwd: string, watch: Watch): Promise<Watched> {
  const { results, seen } = await importInOneProcess({ modules, watch }, cwd, defaultLimitMs);
  return { results, seen: results.every(({ ok }) => ok) ? seen : undefined };
}
