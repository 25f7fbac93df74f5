/** Returns what is wrong with what the task.ts of this task exports by default, or nothing. */
export function findTaskProblem(value: unknown, name: string): string | undefined {
  const task = value as { kind?: unknown; manifest?: { name?: unknown } } | undefined;
  if (task?.kind !== 'implementation') return 'it must export by default what implement() returns.';
  if (task.manifest?.name === name) return undefined;
  return `it implements the manifest of "${task.manifest?.name}". Import its own manifest.`;
}
