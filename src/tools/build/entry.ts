/** A module of the app that a worker loads: its name in messages, and its file. */
export interface EntryModule {
  readonly shown: string;
  readonly file: string;
}

export interface WorkerEntry {
  /** Islet's module that runs a built worker. */
  readonly runner: string;
  /** Islet's module that runs a thread or process of the worker's pools. */
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
  return `file: ${text(shown)}, load: async () => (await import(${text(file)})).default`;
}

/** Writes what a built queue consists of: its manifests, and how the worker loads the rest when it needs it. */
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

/** Writes the program of a built queue. */
export function writeWorkerEntry(entry: WorkerEntry): string {
  return [
    `import { runBuiltWorker } from ${text(entry.runner)};`,
    ...writeBuilt(entry),
    'await runBuiltWorker(built, import.meta.dirname, process.argv.slice(2), process.env);',
    '',
  ].join('\n');
}

/** Writes the program of the threads and processes of a built queue's pools. */
export function writeUnitEntry(entry: WorkerEntry): string {
  return [
    `import { runBuiltUnit } from ${text(entry.unitRunner)};`,
    ...writeBuilt(entry),
    'await runBuiltUnit(built);',
    '',
  ].join('\n');
}

/** Writes the program of a built producer, which enters its folder first: its modules may read settings at once. */
export function writeProducerEntry(file: string): string {
  return `process.chdir(import.meta.dirname);\nawait import(${text(file)});\n`;
}
