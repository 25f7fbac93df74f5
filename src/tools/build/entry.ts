/** A module of the app's that a worker loads: what it is called in messages, and where it is. */
export interface EntryModule {
  readonly shown: string;
  readonly file: string;
}

export interface WorkerEntry {
  /** The module of Islet's that runs a built worker. */
  readonly runner: string;
  /** The module of Islet's that runs a thread or process of its pools. */
  readonly unitRunner: string;
  readonly queueManifest: string;
  readonly tasks: readonly (EntryModule & { readonly manifest: string })[];
  readonly dependencies: EntryModule | undefined;
  readonly hooks: EntryModule | undefined;
  readonly appHooks: EntryModule | undefined;
  readonly config: EntryModule;
}

const text = (value: string) => JSON.stringify(value);

function writeModule({ shown, file }: EntryModule): string {
  return `file: ${text(shown)}, load: () => import(${text(file)})`;
}

/** What a queue's folder holds: the manifests, and how to load the rest when the worker asks for it. */
function writeBuilt(entry: WorkerEntry): string[] {
  const { queueManifest, tasks, dependencies, hooks, appHooks, config } = entry;
  const parts = Object.entries({ dependencies, hooks, appHooks, config }).flatMap(([name, module]) =>
    module ? [`  ${name}: { ${writeModule(module)} },`] : [],
  );
  return [
    `import queue from ${text(queueManifest)};`,
    ...tasks.map(({ manifest }, at) => `import task${at} from ${text(manifest)};`),
    'const built = {',
    '  manifest: queue,',
    `  tasks: [${tasks.map((task, at) => `{ manifest: task${at}, ${writeModule(task)} }`).join(', ')}],`,
    ...parts,
    '};',
  ];
}

/** The program of a queue's folder. */
export function writeWorkerEntry(entry: WorkerEntry): string {
  return [
    `import { runBuiltWorker } from ${text(entry.runner)};`,
    ...writeBuilt(entry),
    'await runBuiltWorker(built, import.meta.dirname, process.argv.slice(2), process.env);',
    '',
  ].join('\n');
}

/** The program of the threads and processes of its pools. */
export function writeUnitEntry(entry: WorkerEntry): string {
  return [
    `import { runBuiltUnit } from ${text(entry.unitRunner)};`,
    ...writeBuilt(entry),
    'await runBuiltUnit(built);',
    '',
  ].join('\n');
}

/** The program of a producer's folder. Its settings are read from there before its own modules run. */
export function writeProducerEntry(file: string): string {
  return `process.chdir(import.meta.dirname);\nawait import(${text(file)});\n`;
}
