import { IsletError } from '../../errors.ts';
import { checks, describe } from '../../manifest/check-options.ts';

export type Kind = 'task' | 'queue';

/** Words that cannot be the name of an import, although a producer imports a manifest under its name. */
const reservedWords = new Set(
  (
    'arguments await break case catch class const continue debugger default delete do else enum eval export extends ' +
    'false finally for function if implements import in instanceof interface let new null package private protected ' +
    'public return static super switch this throw true try typeof undefined var void while with yield'
  ).split(' '),
);

const deviceNames = /^(con|prn|aux|nul|com\d|lpt\d)$/;

/** Suggests the nearest valid name, if there is one. */
function suggest(name: string): string {
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '');
  const near = words.join('-').slice(0, 100).replace(/-$/, '');
  return findProblem(near) === undefined ? ` Try "${near}".` : '';
}

/** Says why a task or queue cannot have this name; undefined when it can. */
export function findProblem(name: string): string | undefined {
  const expected = checks.name(name);
  if (expected) return `names are ${expected}`;
  if (reservedWords.has(name)) {
    return `it is a reserved word of JavaScript, and its manifest is imported under its name; use two words, such as "${name}-item"`;
  }
  if (deviceNames.test(name)) return `Windows keeps "${name}" for a device and makes no folder of that name`;
  return undefined;
}

/** Throws `E_NAME_INVALID` for a name that a folder, a manifest or an import could not have. */
export function checkName(kind: Kind, name: string): void {
  const problem = findProblem(name);
  if (problem === undefined) return;
  throw new IsletError(
    'E_NAME_INVALID',
    `${describe(name)} cannot be the name of a ${kind}: ${problem}.${suggest(name)} Nothing was written.`,
  );
}
