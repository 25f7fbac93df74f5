import { Session } from 'node:inspector';
import * as nodeModule from 'node:module';
import { createRequire, register } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';

/**
 * What to look at while modules are imported, the cheapest first: the memory that they leave behind; also which files
 * were loaded; or who imports whom, for which each import is listened to, which takes time and memory itself.
 */
export type Watch = 'memory' | 'files' | 'imports';

/** One file imports another one, both by their absolute path. */
export type Edge = readonly [importer: string, imported: string];

/** What a process loaded, and what it takes. */
export interface Seen {
  /** Resident memory, after a garbage collection. */
  rssBytes: number;
  /** By their absolute paths. Empty where only memory was asked for. */
  files: string[];
  /** Empty where nobody asked for them. */
  imports: Edge[];
}

interface Resolved {
  url: string;
}
type Resolve = (specifier: string, context: { parentURL?: string }, next: Resolve) => Resolved;
/** Since Node 22.15; the types here are those of Node 20. */
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

/** `import './a.js?v=2'` is a file, too. */
const toFile = (url: string) => fileURLToPath(new URL(url));

/** Older Nodes tell of imports only to a thread of its own. */
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

/** Hears of all `import`s of files from now on; on newer Nodes of `require`s, too. */
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

/** What was required: Node itself keeps who required whom. */
function readRequires(): Edge[] {
  const { cache } = createRequire(import.meta.url);
  return Object.values(cache).flatMap((module): Edge[] => {
    if (!module) return [];
    // A native one may have left its list out.
    const children = (module.children ?? []).map((child): Edge => [module.filename, child.filename]);
    // Whoever made a `require` of its own stands in no list, but is known to what it required.
    const parent = module.parent?.filename;
    return parent ? [...children, [parent, module.filename]] : children;
  });
}

/** All scripts that are alive: what was imported is, what was required may have been forgotten. */
function listFiles(): string[] {
  const urls: string[] = [];
  const session = new Session();
  session.connect();
  session.on('Debugger.scriptParsed', ({ params }) => urls.push(params.url));
  session.post('Debugger.enable');
  session.disconnect();
  const scripts = urls.map((url) => (url.startsWith('/') ? pathToFileURL(url).href : url)).filter(isFile);
  return [...new Set([...scripts.map(toFile), ...Object.keys(createRequire(import.meta.url).cache)])];
}

/** Memory in use, not memory that the next collection would free: the second one takes what the first let go. */
function weigh(): number {
  globalThis.gc?.();
  globalThis.gc?.();
  return process.memoryUsage.rss();
}

/** Watches all that is imported from now on; what it returns tells what was seen. */
export function watchImports(watch: Watch): () => Seen {
  const listen = watch === 'imports' ? listenToImports() : undefined;
  return () => {
    const rssBytes = weigh();
    if (watch === 'memory') return { rssBytes, files: [], imports: [] };
    return { rssBytes, files: listFiles(), imports: listen ? [...listen(), ...readRequires()] : [] };
  };
}
