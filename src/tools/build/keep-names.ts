import type { Node } from 'acorn';
import { isTree, nameIn, parseCode, type Tree, walk } from './parse-code.ts';

// esbuild puts modules side by side into one scope, and renames what has the same name there: `class Mailer` becomes
// `var Mailer2 = class _Mailer`, and a parameter `clock` becomes `clock2` beside an import of that name. A container that
// finds parameters by name, a function whose text runs elsewhere, and an error's name all need the names of the source.

/** A call that keeps esbuild from renaming anything in the function around it. It is removed from what was bundled. */
const marker = 'eval("~islet")';

/** The module that gives functions and classes their names back. */
export const namesModule = {
  path: 'islet-names:',
  code: [
    'export function name(value, text) {',
    "  const { value: current, writable } = Object.getOwnPropertyDescriptor(value, 'name') ?? {};",
    "  if (typeof current !== 'string' || current === text || writable) return;",
    "  Object.defineProperty(value, 'name', { value: text, configurable: true });",
    '}',
  ].join('\n'),
};

interface Insertion {
  readonly at: number;
  readonly text: string;
}

function insert(code: string, insertions: readonly Insertion[]): string {
  const sorted = [...insertions].sort((a, b) => b.at - a.at);
  return sorted.reduce((text, each) => text.slice(0, each.at) + each.text + text.slice(each.at), code);
}

const functions = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression']);

/** Marks a function, after its directives, or around the value of an arrow function. */
function mark({ body }: Tree): Insertion[] {
  if (!isTree(body)) return [];
  if (body.type !== 'BlockStatement') {
    return [
      { at: body.start, text: `(${marker},` },
      { at: body.end, text: ')' },
    ];
  }
  const directives = (body.body as Tree[]).filter(({ directive }) => directive !== undefined);
  return [{ at: directives.at(-1)?.end ?? body.start + 1, text: `;${marker};` }];
}

const isNamed = ({ type, id }: Tree) =>
  (functions.has(type) || type === 'ClassDeclaration' || type === 'ClassExpression') && isTree(id);

/** Lists the functions and classes that a statement of a module names. */
function namedBy(statement: Tree): string[] {
  const declared = isTree(statement.declaration) ? statement.declaration : statement;
  if (declared.type !== 'VariableDeclaration') return isNamed(declared) ? [nameIn(declared.id) ?? ''] : [];
  return (declared.declarations as Tree[]).flatMap(({ id, init }) => {
    const isValue = isTree(init) && (functions.has(init.type) || init.type === 'ClassExpression') && !isNamed(init);
    return isValue ? (nameIn(id) ?? []) : [];
  });
}

const isModule = (body: readonly Tree[]) => body.some(({ type }) => /^(Im|Ex)port/.test(type));

const needName = `import { name as __islet_name } from ${JSON.stringify(namesModule.path)};`;

/** Prepares a module of the app so that its bundled functions, classes and parameters have the names of the source. */
export function keepNames(code: string): string {
  const program = parseCode(code) as Node & { body: Tree[] };
  const marks = [...walk(program as unknown as Tree)].filter(({ type }) => functions.has(type)).flatMap(mark);
  if (!isModule(program.body)) return insert(code, marks);
  const names = program.body.flatMap((statement) =>
    namedBy(statement).map((name) => ({ at: statement.end, text: `;__islet_name(${name},${JSON.stringify(name)});` })),
  );
  return (names.length > 0 ? needName : '') + insert(code, [...marks, ...names]);
}

/** Gives the classes of another ES module their names back, in a way that lets esbuild drop those that nothing uses. */
export function keepClassNames(code: string): string {
  if (!/^\s*(export\s+(default\s+)?)?class\s/m.test(code)) return code;
  const { body } = parseCode(code) as Node & { body: Tree[] };
  const classes = body
    .map((statement) => (isTree(statement.declaration) ? statement.declaration : statement))
    .filter((each) => each.type === 'ClassDeclaration' && isNamed(each));
  if (classes.length === 0 || !isModule(body)) return code;
  const names = classes.map(({ id, end }) => {
    const call = `/* @__PURE__ */ __islet_name(this,${JSON.stringify(nameIn(id))})`;
    return { at: end - 1, text: `;static #__islet_name=${call};` };
  });
  return needName + insert(code, names);
}

/** Removes the marks from bundled code. Spaces take their place, so that source maps stay true. */
export function removeMarks(code: string): string {
  return code.replaceAll(/eval\("~islet"\)[;,]?/g, (found) => ' '.repeat(found.length));
}
