import { Command, type Redis } from 'ioredis';
import { isUnknownScript } from './lua.ts';

/** A part of a command that may change: a whole argument, or text of a fixed length within one. */
export type Hole = { readonly argument: number } | { readonly argument: number; readonly text: string };

type Argument = string | number | Buffer;

const lineEnd = '\r\n';

const lengthLine = (length: number) => `$${length}${lineEnd}`;

/** Encodes an argument; one with a hole in two pieces, which stand before and after the hole. */
function encodeArgument(argument: Argument, hole: Hole | undefined): Buffer[] {
  if (hole && !('text' in hole)) return [Buffer.alloc(0), Buffer.from(lineEnd)];
  const bytes = Buffer.isBuffer(argument) ? argument : Buffer.from(String(argument));
  const all = Buffer.concat([Buffer.from(lengthLine(bytes.length)), bytes, Buffer.from(lineEnd)]);
  if (!hole) return [all];
  const at = all.indexOf(hole.text);
  if (at < 0) throw new Error(`Argument ${hole.argument} does not contain "${hole.text}".`);
  return [all.subarray(0, at), all.subarray(at + Buffer.byteLength(hole.text))];
}

/** A command of which little changes: the rest is encoded once. For 24 arguments that saves a fifth of a job's time. */
export class CommandTemplate {
  /** The bytes before, between and after the holes. */
  readonly #parts: readonly Buffer[];
  readonly #isWhole: readonly boolean[];
  readonly #length: number;

  constructor(name: string, args: readonly Argument[], holes: readonly Hole[]) {
    const head = `*${args.length + 1}${lineEnd}${lengthLine(Buffer.byteLength(name))}${name}${lineEnd}`;
    const parts: Buffer[][] = [[Buffer.from(head)]];
    for (const [index, argument] of args.entries()) {
      const hole = holes.find(({ argument: at }) => at === index);
      const [before, after] = encodeArgument(argument, hole);
      if (before) parts.at(-1)?.push(before);
      if (after) parts.push([after]);
    }
    this.#parts = parts.map((pieces) => Buffer.concat(pieces));
    this.#isWhole = holes.toSorted((a, b) => a.argument - b.argument).map((hole) => !('text' in hole));
    this.#length = this.#parts.reduce((sum, part) => sum + part.length, 0);
  }

  /** Encodes the command with these values in its holes, in the order of the arguments. */
  encode(values: readonly (string | Buffer)[]): Buffer {
    let length = this.#length;
    const heads: string[] = [];
    for (const [index, value] of values.entries()) {
      const size = Buffer.byteLength(value);
      const head = this.#isWhole[index] ? lengthLine(size) : '';
      heads.push(head);
      length += head.length + size;
    }
    const bytes = Buffer.allocUnsafe(length);
    let at = 0;
    for (const [index, part] of this.#parts.entries()) {
      at += part.copy(bytes, at);
      const [head, value] = [heads[index], values[index]];
      if (head === undefined || value === undefined) continue;
      if (head) at += bytes.write(head, at, 'latin1');
      at += typeof value === 'string' ? bytes.write(value, at) : value.copy(bytes, at);
    }
    return bytes;
  }
}

export class EncodedCommand extends Command {
  readonly #bytes: Buffer;

  constructor(name: string, bytes: Buffer) {
    super(name, [], { replyEncoding: 'utf8' });
    this.#bytes = bytes;
  }

  override toWritable(): Buffer {
    return this.#bytes;
  }
}

/** Sends an encoded call of a script. `byText` brings the script to a Redis that does not know it, or no longer. */
export function sendEncoded(client: Redis, bytes: Buffer, byText: () => Promise<unknown>): Promise<unknown> {
  const command = new EncodedCommand('evalsha', bytes);
  client.sendCommand(command);
  return command.promise.catch((error: unknown) => {
    if (!isUnknownScript(error)) throw error;
    return byText();
  });
}
