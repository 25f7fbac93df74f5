import { type Node, parse } from 'acorn';

/** A node of a syntax tree, whose fields depend on its type. */
export type Tree = Node & Record<string, unknown>;

export const isTree = (value: unknown): value is Tree => typeof (value as Node | null)?.type === 'string';

/** Visits a node and all that is in it. */
export function* walk(tree: Tree): Generator<Tree> {
  yield tree;
  for (const value of Object.values(tree)) {
    for (const each of Array.isArray(value) ? value : [value]) if (isTree(each)) yield* walk(each);
  }
}

/** Returns the name that an identifier is; undefined for other nodes. */
export const nameIn = (value: unknown) =>
  isTree(value) && value.type === 'Identifier' ? String(value.name) : undefined;

/** Parses JavaScript, whatever kind of module it is. Throws a SyntaxError that names the line. */
export function parseCode(code: string): Node {
  const common = {
    ecmaVersion: 'latest',
    locations: true,
    allowHashBang: true,
    allowReturnOutsideFunction: true,
  } as const;
  try {
    return parse(code, { ...common, sourceType: 'module' });
  } catch (error) {
    try {
      return parse(code, { ...common, sourceType: 'script' });
    } catch {
      throw error;
    }
  }
}
