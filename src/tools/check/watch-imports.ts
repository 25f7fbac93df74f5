import { Session } from 'node:inspector';
import * as nodeModule from 'node:module';
import { createRequire, register } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';

/**
 * What to record while modules are imported, the cheapest first: the memory that they take; also which files were loaded;
 * or also which file imports which, and recording that takes time and memory itself.
 */
export type Watch = 'memory' | 'files' | 'imports';

/** An import of one file by another, both by their absolute paths. */
export type Edge = readonly [importer: string, imported: string];

/** What a process has loaded, and the memory that it takes. */
export interface Seen {
  /** The resident memory after a garbage collection. */
  rssBytes: number;
  /** The loaded files by their absolute paths; empty when only the memory was to be recorded. */
  files: string[];
  /** Empty when the imports were not to be recorded. */
  imports: Edge[];
}

interface Resolved {
  url: string;
}
type Resolve = (specifier: string, context: { parentURL?: string }, next: Resolve) => Resolved;
/** The type of `registerHooks`, which Node has since 22.15: the types here are those of Node 20. */
type RegisterHooks = (hooks: { resolve: Resolve }) => void;

const listener = `
let port;
export const initialize = (given) => { port = given; };
export async function resolve(specifier, context, next) {
  const resolved = await next(specifier, context);
  port.postMessage([context.parentURL, resolved.url]);
  return resolved;
}`;

const isFile = (url: string | undefined) => url?.startsWith('file:') === true;

/** Returns the file of a URL, also of one with a query, as in `import './a.js?v=2'`. */
const toFile = (url: string) => fileURLToPath(new URL(url));

/** Records imports with a thread, which is the only way on older versions of Node. */
function listenInThread(): () => [string | undefined, string][] {
  const { port1, port2 } = new MessageChannel();
  const script = `data:text/javascript,${encodeURIComponent(listener)}`;
  register(script, { data: port2, transferList: [port2] });
  port1.unref();
  return () => {
    const heard: [string | undefined, string][] = [];
    for (let next = receiveMessageOnPort(port1); next; next = receiveMessageOnPort(port1)) heard.push(next.message);
    return heard;
  };
}

/** Records all `import`s of files from now on; on newer versions of Node also each `require`. */
function listenToImports(): () => Edge[] {
  const { registerHooks } = nodeModule as unknown as { registerHooks?: RegisterHooks };
  const heard: [string | undefined, string][] = [];
  const listen = registerHooks === undefined ? listenInThread() : undefined;
  registerHooks?.({
    resolve(specifier, context, next) {
      const resolved = (next as (specifier: string, context: object) => Resolved)(specifier, context);
      heard.push([context.parentURL, resolved.url]);
      return resolved;
    },
  });
  return () =>
    (listen?.() ?? heard)
      .filter((pair): pair is [string, string] => pair.every(isFile))
      .map(([from, to]) => [toFile(from), toFile(to)]);
}

/** Reads which module required which, as Node itself keeps it. */
function readRequires(): Edge[] {
  const { cache } = createRequire(import.meta.url);
  return Object.values(cache).flatMap((module): Edge[] => {
    if (!module) return [];
    // A native module may have no list of children.
    const children = (module.children ?? []).map((child): Edge => [module.filename, child.filename]);
    // A module that made its own `require` has no children listed, but what it required knows its parent.
    const parent = module.parent?.filename;
    return parent ? [...children, [parent, module.filename]] : children;
  });
}

/**
 * Lists the loaded files: the scripts that are alive, and the modules that were required, whose scripts may have been
 * collected.
 */
export function listFiles(): string[] {
  const urls: string[] = [];
  const session = new Session();
  session.connect();
  session.on('Debugger.scriptParsed', ({ params }) => urls.push(params.url));
  session.post('Debugger.enable');
  session.disconnect();
  const scripts = urls.map((url) => (url.startsWith('/') ? pathToFileURL(url).href : url)).filter(isFile);
  return [...new Set([...scripts.map(toFile), ...Object.keys(createRequire(import.meta.url).cache)])];
}

/** Measures the memory in use. The second garbage collection frees what the first one only released. */
function weigh(): number {
  globalThis.gc?.();
  globalThis.gc?.();
  return process.memoryUsage.rss();
}

/** Starts to record what is imported, and returns a function that returns what was seen. */
export function watchImports(watch: Watch): () => Seen {
  const listen = watch === 'imports' ? listenToImports() : undefined;
  return () => {
    const rssBytes = weigh();
    if (watch === 'memory') return { rssBytes, files: [], imports: [] };
    return { rssBytes, files: listFiles(), imports: listen ? [...listen(), ...readRequires()] : [] };
  };
}
