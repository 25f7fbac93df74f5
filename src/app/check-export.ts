/** What a module of the app's must export by default: a task's code, a function that makes something, the settings. */
export type ExportKind = 'task' | 'function' | 'settings';

/** Returns what is wrong with a module's default export, or nothing. `name` is the task's. */
export function findExportProblem(kind: ExportKind, value: unknown, name: string): string | undefined {
  if (kind === 'function') return typeof value === 'function' ? undefined : 'it must export a function by default.';
  if (kind === 'settings')
    return isSettings(value) ? undefined : 'it must export by default what readConfig() returns.';
  const task = value as { kind?: unknown; manifest?: { name?: unknown } } | undefined;
  if (task?.kind !== 'implementation') return 'it must export by default what implement() returns.';
  if (task.manifest?.name === name) return undefined;
  return `it implements the manifest of "${task.manifest?.name}". Import its own manifest.`;
}

const isObject = (value: unknown) => typeof value === 'object' && value !== null;

function isSettings(value: unknown): boolean {
  const { redis, log } = (value ?? {}) as { redis?: unknown; log?: unknown };
  return isObject(redis) && isObject(log);
}
