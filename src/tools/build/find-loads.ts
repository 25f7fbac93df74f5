import { isTree, nameIn, parseCode, type Tree, walk } from './parse-code.ts';

/** A module that code looks for by other means than an import or a plain require(). */
export interface Load {
  /** What is looked for; undefined when the code computes it. */
  readonly specifier: string | undefined;
  /** What the code does, as a clause. */
  readonly what: string;
  readonly kind: 'import' | 'require';
  /** The line, from 1, and the column, from 0. */
  readonly line: number;
  readonly column: number;
}

const memberIn = (value: unknown) =>
  isTree(value) && value.type === 'MemberExpression' && !value.computed ? nameIn(value.property) : undefined;

function readText(value: unknown): string | undefined {
  if (!isTree(value)) return undefined;
  if (value.type === 'Literal') return typeof value.value === 'string' ? value.value : undefined;
  const [only, ...more] = value.type === 'TemplateLiteral' ? (value.quasis as { value: { cooked?: string } }[]) : [];
  return more.length === 0 ? only?.value.cooked : undefined;
}

/** Knows by which names a module calls `createRequire()` and what that has made. */
class Requires {
  readonly #makers = new Set(['createRequire']);
  readonly #made = new Set<string>();

  constructor(nodes: readonly Tree[]) {
    for (const { type, imported, local } of nodes) {
      if (type === 'ImportSpecifier' && nameIn(imported) === 'createRequire') this.#makers.add(nameIn(local) ?? '');
    }
    for (const { type, id, init } of nodes) {
      const name = nameIn(id);
      if (type === 'VariableDeclarator' && name !== undefined && this.#makes(init)) this.#made.add(name);
    }
  }

  #makes(value: unknown): boolean {
    if (!isTree(value) || value.type !== 'CallExpression') return false;
    return this.#makers.has(nameIn(value.callee) ?? memberIn(value.callee) ?? '');
  }

  isMade(value: unknown): boolean {
    return this.#made.has(nameIn(value) ?? '') || this.#makes(value);
  }
}

/** Says what a call looks for a module by; undefined for other calls. */
function judge(callee: unknown, requires: Requires): Pick<Load, 'what' | 'kind'> | undefined {
  if (requires.isMade(callee)) return { what: 'createRequire()', kind: 'require' };
  if (memberIn(callee) !== 'resolve') return undefined;
  const { object } = callee as Tree;
  if (isTree(object) && object.type === 'MetaProperty') return { what: 'import.meta.resolve()', kind: 'import' };
  const isRequire = nameIn(object) === 'require' || requires.isMade(object);
  return isRequire ? { what: 'require.resolve()', kind: 'require' } : undefined;
}

/** Finds the modules that code looks for by `createRequire()`, `require.resolve()` and `import.meta.resolve()`. */
export function findLoads(code: string): Load[] {
  if (!/createRequire|require\.resolve|import\.meta\.resolve/.test(code)) return [];
  const nodes = [...walk(parseCode(code) as Tree)];
  const requires = new Requires(nodes);
  return nodes.flatMap((node): Load[] => {
    const judged = node.type === 'CallExpression' ? judge(node.callee, requires) : undefined;
    if (!judged) return [];
    const { start } = node.loc ?? { start: { line: 1, column: 0 } };
    return [{ ...judged, ...start, specifier: readText((node.arguments as unknown[])[0]) }];
  });
}
