import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { IsletError } from '../errors.ts';

/** The endings of code that can be run. Compiled code comes first: Node 20 runs nothing else. */
const endings = ['.js', '.ts'];

export function appNotFound(root: string): IsletError {
  const advice = "Start in the app's folder, or make a new app: islet init my-workers.";
  return new IsletError('E_APP_NOT_FOUND', `${root} is not an Islet app: it has no folder "queues". ${advice}`);
}

/** Returns the folder of an app's runnable code: `dist/` where it was compiled, else the app's own. */
export function findCode(root: string): string {
  const code = [join(root, 'dist'), root].find((folder) => existsSync(join(folder, 'queues')));
  if (!code) throw appNotFound(root);
  return code;
}

/** Returns the file of this name in a folder, as it can be run. */
export function findFile(folder: string, name: string): string | undefined {
  return endings.map((ending) => join(folder, name + ending)).find(existsSync);
}

/** Lists the names of the tasks' or queues' folders, sorted. */
export async function listFolders(code: string, kind: 'tasks' | 'queues'): Promise<string[]> {
  const parent = join(code, kind);
  if (!existsSync(parent)) return [];
  const entries = await readdir(parent, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  return names.sort((a, b) => a.localeCompare(b));
}

/** Imports a file of the app's and returns its default export. Throws what the import threw. */
export async function importDefault(file: string): Promise<unknown> {
  try {
    const module: { default?: unknown } = await import(pathToFileURL(file).href);
    return module.default;
  } catch (cause) {
    const why = file.endsWith('.ts') ? whyNotCompiled(cause, file) : undefined;
    if (why === undefined) throw cause;
    throw new IsletError('E_BUILD_STALE', `${why} Run "npm run build" first.`, { cause });
  }
}

/** Says why Node cannot run a source that was not compiled; undefined when that is not what is wrong. */
function whyNotCompiled(cause: unknown, file: string): string | undefined {
  const { code, message = '' } = (cause ?? {}) as { code?: unknown; message?: string };
  const runsTypeScript = Boolean((process.features as { typescript?: unknown }).typescript);
  if (code === 'ERR_UNKNOWN_FILE_EXTENSION' && !runsTypeScript) {
    return `${file} is not compiled, and Node ${process.version} cannot run TypeScript; Node 22.18 and newer can.`;
  }
  const needsCompiler = ['ERR_UNKNOWN_FILE_EXTENSION', 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX'].includes(String(code));
  // A decorator is the one thing in sources that Node takes no offence at, and then cannot read.
  if (!needsCompiler && !(cause instanceof SyntaxError && message === 'Invalid or unexpected token')) return undefined;
  const what = 'such as JSX, enums and decorators';
  return `${file} is not compiled, and has or imports what only a compiler understands, ${what}: ${message}.`;
}
