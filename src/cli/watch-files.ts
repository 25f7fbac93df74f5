import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname, join, sep } from 'node:path';

/** Watches files by their folders, since editors replace a file when they save it. */
export class WatchedFiles {
  readonly #folders = new Map<string, { names: Set<string>; watcher: FSWatcher }>();
  readonly #onSaved: () => void;

  constructor(onSaved: () => void) {
    this.#onSaved = onSaved;
  }

  /** Watches these files, too. A file in a folder that cannot be watched is passed over. */
  add(files: readonly string[]): void {
    for (const file of files) this.#folder(dirname(file))?.names.add(basename(file));
  }

  close(): void {
    for (const { watcher } of this.#folders.values()) watcher.close();
    this.#folders.clear();
  }

  #folder(path: string) {
    const known = this.#folders.get(path);
    if (known) return known;
    const names = new Set<string>();
    try {
      const watcher = watch(path, (_, name) => name !== null && names.has(name) && this.#onSaved());
      // The folder itself may be removed.
      watcher.on('error', () => this.#folders.delete(path));
      this.#folders.set(path, { names, watcher });
      return { names };
    } catch {
      return undefined;
    }
  }
}

/**
 * Returns which of the loaded files nobody else watches: the app's own and those of linked packages that the compiler does
 * not compile.
 */
export function filesToWatch(loaded: readonly string[], root: string, framework: string): string[] {
  const isCompiled = (file: string) => file.startsWith(join(root, sep)) && /\.[cm]?tsx?$/.test(file);
  const others = [join(root, 'dist', sep), join(framework, sep)];
  return loaded.filter(
    (file) =>
      !file.includes(`${sep}node_modules${sep}`) &&
      !isCompiled(file) &&
      !others.some((folder) => file.startsWith(folder)),
  );
}
