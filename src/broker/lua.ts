import { createHash } from 'node:crypto';
import type { ChainableCommander, Redis } from 'ioredis';

/** A script of Islet's own. It compares and writes: TypeScript has decided before. */
export interface Script {
  readonly lua: string;
  readonly sha: string;
  /** The last parts of the keys that the script takes of every queue; keys of single jobs come before them. */
  readonly keys: readonly string[];
}

/** Defines a script by the keys that it takes of every queue, and then by its text. */
export function defineScript(...keys: readonly string[]) {
  return (text: TemplateStringsArray, ...names: readonly (string | number)[]): Script => {
    const lua = String.raw(text, ...names);
    return { lua, sha: createHash('sha1').update(lua).digest('hex'), keys };
  };
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

/** Sends the commands of a pipeline, and returns the replies. Throws the first refusal. */
export async function execAll(pipeline: ChainableCommander): Promise<unknown[]> {
  const replies = (await pipeline.exec()) ?? [];
  return replies.map(([error, reply]) => {
    if (error) throw error;
    return reply;
  });
}

/** Sends the commands of a pipeline, and returns the replies, without those to keys that hold something else. */
export async function execEach(pipeline: ChainableCommander): Promise<unknown[]> {
  const replies = (await pipeline.exec()) ?? [];
  return replies.map(([error, reply]) => {
    if (error && !error.message.startsWith('WRONGTYPE')) throw error;
    return error ? undefined : reply;
  });
}
