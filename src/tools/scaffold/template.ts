import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Files } from './files.ts';

/** The text for each slot: that of `NAME` takes the place of `__NAME__`. */
type Slots = Readonly<Record<string, string | undefined>>;

/** Finds slots. The colon before a type belongs to the slot, so that an empty text leaves no colon behind. */
const slot = /(: )?__([A-Z]+(?:_[A-Z]+)*)__/g;

/** Finds lines that are for one case only. Nobody asks for the case "template", which is for the compiler alone. */
const block = /^ *\/\/ if: (\S+)\n([\s\S]*?)^ *\/\/ end\n/gm;

const namedImport = /^import (type )?\{ (.+) \} from (.+)\n/gm;

/** Leaves out imported names that are used nowhere else. */
function dropUnusedImports(text: string): string {
  const isUsed = (name: string) => text.split(new RegExp(`\\b${name}\\b`)).length > 2;
  return text.replace(namedImport, (_, type = '', names: string, from: string) => {
    const used = names.split(', ').filter((name) => isUsed(name.replace('type ', '')));
    return used.length > 0 ? `import ${type}{ ${used.join(', ')} } from ${from}\n` : '';
  });
}

/**
 * Fills the slots of a template. It leaves out lines with a slot whose text is undefined, the lines between
 * `// if: <case>` and `// end` unless the case is among `cases`, and imports that are then unused.
 */
export function fillTemplate(template: string, slots: Slots, cases: readonly string[] = []): string {
  const textOf = (name = '') => {
    if (!(name in slots)) throw new Error(`A template has the slot __${name}__, which nothing fills.`);
    return slots[name];
  };
  const isWanted = (line: string) => [...line.matchAll(slot)].every(([, , name]) => textOf(name) !== undefined);
  const lines = template.replace(block, (_, name: string, inner: string) => (cases.includes(name) ? inner : ''));
  const filled = lines
    .split('\n')
    .filter(isWanted)
    .join('\n')
    .replace(slot, (_, colon: string = '', name: string) => (textOf(name) ? `${colon}${textOf(name)}` : ''));
  return dropUnusedImports(filled).replace(/\n{3,}/g, '\n\n');
}

/** The folder of the templates, which stands one level higher above the compiled code than above the sources. */
const templates = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../../../templates/' : '../../../../templates/', import.meta.url),
);

/** Lists the files of a folder of templates. */
export function listTemplates(folder: string): string[] {
  const entries = readdirSync(join(templates, folder), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return files.map((file) => file.slice(join(templates, folder).length + 1).replaceAll('\\', '/'));
}

/**
 * Fills templates of one folder, and returns them by the names of the files in an app. An underscore at the beginning of
 * a name is left out: it keeps npm, TypeScript and Biome from taking the file for Islet's own.
 */
export function fillFiles(folder: string, names: readonly string[], slots: Slots, cases?: readonly string[]): Files {
  const fill = (name: string) => fillTemplate(readFileSync(join(templates, folder, name), 'utf8'), slots, cases);
  return Object.fromEntries(names.map((name) => [name.replace(/(^|\/)_/, '$1'), fill(name)]));
}
