import { posix } from 'node:path';
import { parseSync } from 'oxc-parser';

/**
 * Who may import whom. Patterns: a path from the root, where `*` is one segment and `**` is any number; `./**` is the
 * file's own folder below queues/ or tasks/; `node:*`, `islet` and packages stand for themselves, `package:*` for any
 * bare specifier. `type:` before a pattern allows an `import type` only.
 */
export interface ImportRule {
  readonly from: string;
  readonly may: readonly string[];
  readonly never?: readonly string[];
  readonly because: string;
}

export interface Violation {
  readonly file: string;
  /** What was imported or written. */
  readonly found: string;
  readonly because: string;
  readonly sentence: string;
}

interface Import {
  readonly specifier: string;
  /** A path from the root for a relative specifier, the specifier itself otherwise. */
  readonly target: string;
  readonly typeOnly: boolean;
  /** Whether it is an import(), which may lead back: it runs when everything is loaded. */
  readonly dynamic: boolean;
}

interface ParsedFile {
  readonly path: string;
  readonly lines: number;
  readonly imports: readonly Import[];
  readonly functions: readonly { readonly name: string; readonly lines: number }[];
  readonly computedImports: number;
  readonly readsEnvironment: boolean;
  readonly exitsProcess: boolean;
}

const errors = 'src/errors.ts';
const manifest = 'src/manifest/**';
const launchProfiles = 'src/launch-profiles.ts';
const jobAbort = 'src/job-abort.ts';
const sharedLines = 'src/shared-lines.ts';
const unsettled = 'src/unsettled.ts';
const units = 'src/units.ts';
const thrown = 'src/thrown.ts';
const rewriteLines = 'src/rewrite-lines.ts';
const redisPlace = 'src/redis-place.ts';
const grouping = 'src/group-by.ts';
const schemaTypes = 'type:@standard-schema/spec';
const brokerSeam = 'src/broker/broker.ts';

/** The first rule whose `from` matches a file is the one that holds for it. */
export const importRules: readonly ImportRule[] = [
  { from: 'src/errors.ts', may: [], because: 'the errors are the ground floor' },
  {
    from: 'src/config.ts',
    may: [errors, units, redisPlace, 'src/environment.ts', 'src/manifest/defaults.ts', 'src/manifest/did-you-mean.ts'],
    because: 'the settings are data on the ground floor',
  },
  {
    from: units,
    may: [],
    because: 'flags and settings read durations and sizes in one way, and it needs nothing',
  },
  {
    from: 'src/environment.ts',
    may: [errors, 'src/manifest/did-you-mean.ts'],
    because: 'it reads the variables that it is handed, for the settings alone',
  },
  {
    from: grouping,
    may: [],
    because: 'broker and cli group by it, and it needs nothing',
  },
  {
    from: redisPlace,
    may: [],
    because: 'settings and connections read the URL of a Redis in one way, and it needs nothing',
  },
  {
    from: jobAbort,
    may: [],
    because: 'broker, worker and tests hand it to each other, and it needs none of them',
  },
  {
    from: unsettled,
    may: [],
    because: 'both brokers count in the same way, and it needs nothing',
  },
  {
    from: launchProfiles,
    may: [],
    because: 'the launch lines are data on the ground floor',
  },
  {
    from: sharedLines,
    may: [],
    because: 'the thread that writes what the logger could not loads nothing with it',
  },
  {
    from: thrown,
    may: ['type:src/manifest/redact.ts', 'node:util'],
    because: 'whoever catches something reads it in one way, and a parent of workers loads no worker for that',
  },
  {
    from: rewriteLines,
    may: [],
    because: 'a test kit hides what a task logs, and loads no logger',
  },
  {
    from: 'src/log.ts',
    may: ['pino', sharedLines, rewriteLines, 'node:fs'],
    because: 'the logger is used by worker, supervisor and cli, and knows none of them',
  },
  {
    from: 'src/index.ts',
    may: [errors, manifest, schemaTypes],
    because: 'every manifest imports "islet", so it loads nothing else',
  },
  {
    from: 'src/task.ts',
    may: [errors, manifest, 'src/worker/**', schemaTypes],
    because: 'a public entry imports only what it re-exports',
  },
  {
    from: 'src/producer.ts',
    may: [errors, manifest, 'src/broker/**', 'src/producer/**'],
    because: 'a web process must not load what runs tasks',
  },
  {
    from: 'src/testing.ts',
    may: [errors, manifest, 'src/app/**', 'src/worker/**', 'src/testing/**'],
    because: "users' tests need no Redis",
  },
  {
    from: 'src/manifest/**',
    may: [errors, manifest, schemaTypes],
    because: 'every process loads the manifests, so they do no I/O and cost nothing',
  },
  {
    from: 'src/app/**',
    may: [errors, manifest, 'src/app/**', 'node:*'],
    because: 'the app is found at run time, its code is never imported statically',
  },
  {
    from: 'src/broker/**',
    may: [
      ...[errors, jobAbort, unsettled, redisPlace, grouping, manifest, 'type:src/guard/**', 'src/process/**'],
      ...['src/broker/**', 'bullmq', 'ioredis', 'node:*'],
    ],
    because: 'the carrier does not know who sends or runs; it reports through broker.ts',
  },
  {
    from: 'src/guard/**',
    may: [sharedLines, 'src/guard/**', 'node:*'],
    because: 'the guard must not load what it watches, and is handed how to extend locks',
  },
  {
    from: 'src/process/**',
    may: ['src/process/**', 'node:*'],
    because: 'whether a process lives is asked by workers, pools and tools, and needs none of them',
  },
  {
    from: 'src/observe/**',
    may: [errors, 'src/log.ts', brokerSeam, 'src/observe/**', 'node:*'],
    because: 'it is handed what it tells, and without it a worker runs the same',
  },
  {
    from: 'src/inspect/**',
    may: [errors, manifest, 'src/broker/**', 'src/inspect/**', 'ioredis', 'node:*'],
    because: 'looking at a queue loads no task',
  },
  {
    from: 'src/producer/**',
    may: [errors, manifest, 'src/broker/**', 'src/producer/**', 'node:*', schemaTypes],
    because: 'a web process must not load what runs tasks',
  },
  {
    from: 'src/worker/**',
    may: [
      errors,
      'src/log.ts',
      jobAbort,
      rewriteLines,
      thrown,
      'src/process/**',
      manifest,
      'src/app/**',
      'src/worker/**',
      brokerSeam,
      'awilix',
      'node:*',
      schemaTypes,
    ],
    because: 'a worker is handed its broker and knows neither BullMQ nor Redis',
  },
  {
    from: 'src/supervisor/**',
    may: [launchProfiles, 'src/supervisor/**', 'node:*'],
    because: 'the parent stays tiny: it loads no app code, no broker and no worker',
  },
  {
    from: 'src/testing/**',
    may: [
      errors,
      jobAbort,
      thrown,
      unsettled,
      manifest,
      'src/app/**',
      'src/producer/**',
      'src/worker/**',
      brokerSeam,
      'src/testing/**',
      'node:*',
      schemaTypes,
    ],
    because: "users' tests need no Redis",
  },
  {
    from: 'src/tools/scaffold/**',
    may: [errors, manifest, 'src/app/**', 'src/tools/scaffold/**', 'node:*'],
    because: 'generating files needs no worker and no broker',
  },
  {
    from: 'src/tools/check/**',
    may: [errors, launchProfiles, manifest, 'src/app/**', 'src/tools/check/**', 'node:*'],
    because: 'what is checked is imported in processes of its own, and nothing is run or connected to',
  },
  {
    from: 'src/tools/build/**',
    may: [
      errors,
      launchProfiles,
      manifest,
      'src/app/**',
      'src/tools/build/**',
      'node:*',
      'acorn',
      'esbuild',
      '@vercel/nft',
    ],
    because: 'packing a worker does not run one',
  },
  {
    from: 'src/tools/dev-redis/**',
    may: [errors, 'src/process/**', 'src/tools/dev-redis/**', 'node:*'],
    because: 'the development Redis is lent to a process and knows nothing of what runs there',
  },
  {
    from: 'src/cli/**',
    may: ['src/**', 'commander', '@clack/prompts', 'pino-pretty', 'node:*'],
    never: ['src/index.ts', 'src/task.ts', 'src/producer.ts', 'src/testing.ts'],
    because: 'the composition root joins the parts of src, and meets queues and tasks only by import()',
  },
  { from: 'src/**', may: [], because: 'this folder has no rule yet: add it to the table first, then write the code' },
  {
    from: 'tasks/*/manifest.ts',
    may: ['islet', 'valibot', 'zod', 'arktype', '@standard-schema/spec', './**', 'queues/*/manifest.ts'],
    never: ['tasks/*/task.ts', '**/dependencies.ts'],
    because: 'anyone may import a manifest, so it must cost next to nothing',
  },
  {
    from: 'queues/*/manifest.ts',
    may: ['islet', 'valibot', 'zod', 'arktype', '@standard-schema/spec', './**'],
    never: ['tasks/*/task.ts', '**/dependencies.ts', '**/hooks.ts'],
    because: 'anyone may import a manifest, so it must cost next to nothing',
  },
  {
    from: 'tasks/**',
    may: [
      './**',
      'tasks/*/manifest.ts',
      'queues/*/manifest.ts',
      'type:queues/*/dependencies.ts',
      'node:*',
      'package:*',
    ],
    never: ['bullmq', 'ioredis', 'convict'],
    because: "each task is an island: another task's work is enqueued, not imported, and settings come with its deps",
  },
  {
    from: 'queues/*.ts',
    may: ['queues/*.ts', 'type:config/schema.ts', 'node:*', 'package:*'],
    never: ['bullmq', 'convict'],
    because: "the hooks of all queues are loaded in each worker, so they know no queue's code",
  },
  {
    from: 'queues/**',
    may: ['./**', 'type:config/schema.ts', 'node:*', 'package:*'],
    never: ['bullmq', 'convict'],
    because: 'dependencies are handed { config, log } and know neither tasks nor other queues',
  },
  {
    from: 'config/**',
    may: ['config/**', 'convict', 'convict-*', 'islet/config'],
    because: 'reading the settings must not load what uses them',
  },
  {
    from: 'lab/kit/**',
    may: ['lab/kit/**', 'src/tools/dev-redis/**', 'ioredis', 'node:*'],
    because: 'demo, bench, chaos and proofs stand on the kit, which knows none of them',
  },
  {
    from: 'lab/hostile/**',
    may: ['lab/hostile/**', 'islet', 'islet/task', 'fast-check', 'valibot', 'ioredis', 'node:*'],
    because: 'chaos and the property tests attack from outside, with what anybody may import',
  },
];

const forbiddenFolders = ['core', 'common', 'lib', 'utils', 'types', 'interfaces', 'helpers'];
const maxLines = 300;
const maxFunctionLines = 60;

/** Checks the files, given by their path from the root, against the table and the rules beside it. */
export function checkImports(files: ReadonlyMap<string, string>): Violation[] {
  const parsed = [...files].map(([path, source]) => parseFile(path, source));
  return [...parsed.flatMap(checkFile), ...findCycles(parsed)];
}

function checkFile(file: ParsedFile): Violation[] {
  const violations = [...checkTable(file), ...checkFolders(file)];
  return file.path.startsWith('src/') ? [...violations, ...checkSource(file)] : violations;
}

function checkTable(file: ParsedFile): Violation[] {
  const rule = importRules.find(({ from }) => matches(from, file.path));
  if (!rule) return [];
  return file.imports
    .filter((imported) => !isAllowed(rule, file.path, imported))
    .map((imported) => violation(file.path, `import "${imported.specifier}"`, rule.because));
}

function isAllowed(rule: ImportRule, path: string, imported: Import): boolean {
  if (rule.never?.some((pattern) => names(pattern, path, imported.target))) return false;
  return rule.may.some((pattern) => {
    const typesOnly = pattern.startsWith('type:');
    if (typesOnly && !imported.typeOnly) return false;
    return names(typesOnly ? pattern.slice('type:'.length) : pattern, path, imported.target);
  });
}

function names(pattern: string, path: string, target: string): boolean {
  if (pattern === 'package:*') return isBare(target);
  // A file outside the checked folders, such as ../package.json, is nobody's neighbour.
  if (pattern === './**') return target.startsWith(`${path.split('/').slice(0, 2).join('/')}/`);
  // "ioredis" also stands for "ioredis/built/x", but "islet" is only itself: each of its entries is a choice.
  const deep = isBare(pattern) && !pattern.startsWith('islet') && target.startsWith(`${pattern}/`);
  return deep || matches(pattern, target);
}

function isBare(target: string): boolean {
  return !/^(src|queues|tasks|config|test|lab|bin|node_modules|\.\.)\/|^(node:|\.|\/|\*)/.test(target);
}

function matches(pattern: string, path: string): boolean {
  const source = pattern
    .replaceAll('.', '\\.')
    .replaceAll('**', '\0')
    .replaceAll('*', pattern.startsWith('node:') ? '.*' : '[^/]*')
    .replaceAll('\0', '.*');
  return new RegExp(`^${source}$`).test(path);
}

function checkFolders({ path }: ParsedFile): Violation[] {
  const folder = posix
    .dirname(path)
    .split('/')
    .find((name) => forbiddenFolders.includes(name));
  if (!folder) return [];
  return [violation(path, `folder "${folder}"`, 'a folder is named after what it does, not after what is left over')];
}

function checkSource(file: ParsedFile): Violation[] {
  const { path } = file;
  const mayExit = path.startsWith('src/cli/') || path === 'src/tools/dev-redis/keeper.ts';
  const found: [boolean, string, string][] = [
    [file.readsEnvironment, 'process.env', 'the environment is read in config/, and handed on'],
    [file.exitsProcess && !mayExit, 'process.exit()', 'only the composition root ends the process'],
    [
      file.computedImports > 0 && !path.startsWith('src/app/'),
      'computed import()',
      'only src/app/ finds code at run time, so that a bundler can see all other imports',
    ],
    [/^src\/.+\/index\.ts$/.test(path), 'index.ts', 'an import names the file that it means, and loads no other'],
    [file.lines > maxLines, `${file.lines} lines`, `a file of src has at most ${maxLines} lines`],
  ];
  for (const { name, lines } of file.functions) {
    found.push([
      lines > maxFunctionLines,
      `${lines} lines in ${name}`,
      `a function has at most ${maxFunctionLines} lines`,
    ]);
  }
  return found.filter(([is]) => is).map(([, what, because]) => violation(path, what, because));
}

/** Reports each cycle of imports in src once, whatever file it was found from; those of types count too. */
function findCycles(files: readonly ParsedFile[]): Violation[] {
  const inSource = files.filter(({ path }) => path.startsWith('src/'));
  const edges = new Map(
    inSource.map(({ path, imports }) => [path, imports.filter(({ dynamic }) => !dynamic).map(({ target }) => target)]),
  );
  const done = new Set<string>();
  const violations: Violation[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) {
      const cycle = [...trail.slice(trail.indexOf(path)), path].join(' → ');
      violations.push(
        violation(path, `import cycle ${cycle}`, 'neither file can be read, moved or loaded without the other'),
      );
      return;
    }
    if (done.has(path)) return;
    for (const target of edges.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const { path } of inSource) visit(path, []);
  return violations;
}

function violation(file: string, found: string, because: string): Violation {
  return { file, found, because, sentence: `${file} must not have ${found}: ${because}.` };
}

type Node = { readonly type: string } & Readonly<Record<string, unknown>>;

function parseFile(path: string, source: string): ParsedFile {
  const { program, errors: mistakes } = parseSync(path, source);
  const mistake = mistakes[0];
  // An unread file would pass every rule.
  if (mistake) throw new Error(`${path} does not parse: ${mistake.message}`);
  const nodes = [...allNodes(program)];
  const dynamic = nodes.filter(({ type }) => type === 'ImportExpression');
  return {
    path,
    lines: source.replace(/\n$/, '').split('\n').length,
    imports: nodes.flatMap((node) => importOf(path, node) ?? []),
    functions: nodes.flatMap((node) => functionOf(node, source) ?? []),
    computedImports: dynamic.filter((node) => literal(node.source) === undefined).length,
    readsEnvironment: nodes.some((node) => usesOfProcess(node, 'env')),
    exitsProcess: nodes.some((node) => usesOfProcess(node, 'exit')),
  };
}

// The tree instead of the parser's module record: that one has no `import('./x.ts').Type` and cannot tell
// `import type { T }`, which is erased, from `import { type T }`, which still loads the module.
function* allNodes(value: unknown): Generator<Node> {
  if (Array.isArray(value)) {
    for (const item of value) yield* allNodes(item);
  } else if (isNode(value)) {
    yield value;
    for (const child of Object.values(value)) yield* allNodes(child);
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

/** A function with a body, closures and methods included. */
function functionOf(node: Node, source: string): ParsedFile['functions'][number] | undefined {
  const { type, start, end, id } = node;
  if (!/^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(type)) return undefined;
  const text = source.slice(Number(start), Number(end));
  return { name: nameOf(id) ?? `the function "${text.slice(0, 40).split('\n')[0]}"`, lines: text.split('\n').length };
}

function importOf(path: string, node: Node): Import | undefined {
  const specifier = specifierOf(node);
  if (specifier === undefined) return undefined;
  const typeOnly = node.type === 'TSImportType' || node.importKind === 'type' || node.exportKind === 'type';
  const target = specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier) : specifier;
  return { specifier, target, typeOnly, dynamic: node.type === 'ImportExpression' };
}

function specifierOf(node: Node): string | undefined {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportNamedDeclaration':
    case 'ExportAllDeclaration':
    case 'ImportExpression':
    case 'TSImportType':
      return literal(node.source);
    default:
      return undefined;
  }
}

/** Whether the node is `process.<name>`, `process['<name>']`, `{ <name> } = process` or an import of that name. */
function usesOfProcess(node: Node, name: string): boolean {
  if (node.type === 'MemberExpression') return isProcess(node.object) && nameOf(node.property) === name;
  if (node.type === 'VariableDeclarator') return isProcess(node.init) && hasKey(node.id, 'properties', 'key', name);
  if (node.type !== 'ImportDeclaration' || !/^(node:)?process$/.test(literal(node.source) ?? '')) return false;
  return hasKey(node, 'specifiers', 'imported', name);
}

function hasKey(node: unknown, list: string, key: string, name: string): boolean {
  const items = isNode(node) ? node[list] : undefined;
  return Array.isArray(items) && items.some((item) => isNode(item) && nameOf(item[key]) === name);
}

function isProcess(node: unknown): boolean {
  if (!isNode(node)) return false;
  if (node.type === 'MemberExpression')
    return nameOf(node.object) === 'globalThis' && nameOf(node.property) === 'process';
  return nameOf(node) === 'process';
}

function nameOf(node: unknown): string | undefined {
  if (!isNode(node)) return undefined;
  return node.type === 'Identifier' && typeof node.name === 'string' ? node.name : literal(node);
}

function literal(node: unknown): string | undefined {
  return isNode(node) && node.type === 'Literal' && typeof node.value === 'string' ? node.value : undefined;
}
