import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const open = new Set<string>();

/** Makes a folder that does not outlive this process, however it ends short of a SIGKILL. */
export function makeTempFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `islet-${name}-`));
  open.add(folder);
  return folder;
}

export function removeTempFolder(folder: string): void {
  open.delete(folder);
  rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
}

process.once('exit', () => {
  for (const folder of open) removeTempFolder(folder);
});
