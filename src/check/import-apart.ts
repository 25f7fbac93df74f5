import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Imported, ModuleToImport, Told } from './import-module.ts';

/** How long, in milliseconds, one module may take to import. */
const defaultLimitMs = 30_000;

/** The last of what a process wrote, for whoever looks for the reason of its end. */
const tailLength = 500;

const program = fileURLToPath(import.meta.url).replace(/import-apart(\.[jt]s)$/, 'import-module$1');

const failed = (message: string): Imported => ({ ok: false, code: undefined, message, stack: '' });

/** Imports modules in one process, in their order, until one ends the process or takes too long. */
function importInOneProcess(modules: ModuleToImport[], cwd: string, limitMs: number): Promise<Imported[]> {
  const child = fork(program, [], {
    cwd,
    execArgv: ['--enable-source-maps'],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const results: Imported[] = [];
  let written = '';
  child.stderr?.setEncoding('utf8').on('data', (text) => {
    written = (written + text).slice(-tailLength);
  });
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    const end = (last?: Imported) => {
      clearTimeout(timer);
      if (last && results.length < modules.length) results.push(last);
      child.removeAllListeners('close').on('close', () => resolve(results));
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      else resolve(results);
    };
    child.on('message', (told: Told) => {
      clearTimeout(timer);
      if ('begun' in told) {
        timer = setTimeout(() => end(failed(`its import did not end within ${limitMs / 1_000} s`)), limitMs);
        return;
      }
      results.push(told.imported);
      if (results.length === modules.length) end();
    });
    child.on('close', (code, signal) => {
      const how = signal ? `by ${signal}` : `with exit code ${code}`;
      const said = written.trim() === '' ? '' : ` It wrote: ${written.trim()}`;
      end(failed(`its import ended the process ${how}.${said}`));
    });
    child.on('error', (error) => end(failed(error.message)));
    child.send(modules);
  });
}

/**
 * Imports modules in a process of their own, and says of each what came of it. One that ends the process, or hangs, does
 * not keep the ones after it from being imported: they get another process.
 */
export async function importApart(
  modules: ModuleToImport[],
  cwd: string,
  limitMs = defaultLimitMs,
): Promise<Imported[]> {
  const results: Imported[] = [];
  while (results.length < modules.length) {
    results.push(...(await importInOneProcess(modules.slice(results.length), cwd, limitMs)));
  }
  return results;
}
