import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';

/** A script of Islet's own. Scripts compare and write; TypeScript decides, before. */
export interface Script {
  readonly lua: string;
  readonly sha: string;
  /** The last parts of the keys that it takes of every queue; keys of single jobs come before them. */
  readonly keys: readonly string[];
}

/** Takes the keys of a script first, and then its text. */
export function defineScript(...keys: readonly string[]): (lua: string) => Script {
  return (lua) => ({ lua, sha: createHash('sha1').update(lua).digest('hex'), keys });
}

/** Tells whether Redis does not know a script yet, or any more. */
export function isUnknownScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT');
}

/** Runs a script by its hash, and sends its text to a Redis that does not know it yet. */
export async function runScript(
  client: Pick<Redis, 'eval' | 'evalsha'>,
  script: Script,
  keys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> {
  try {
    return await client.evalsha(script.sha, keys.length, ...keys, ...args);
  } catch (error) {
    if (!isUnknownScript(error)) throw error;
    return client.eval(script.lua, keys.length, ...keys, ...args);
  }
}
