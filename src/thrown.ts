import { types } from 'node:util';
import type { Redaction } from './manifest/redact.ts';

/** How many characters are told of each part of a failure. */
export const most = { name: 100, code: 100, message: 4_000, detail: 1_000, stack: 8_000 };
/** How many errors behind an error are told: its causes, and those that an AggregateError holds. */
export const mostCauses = 10;
/** How many levels of a thrown value that is no error are written. */
const mostLevels = 20;
/** A bigint of more digits takes long to write. */
const hugeBigint = 10n ** 1_000n;

/** Returns what `read` returns, or nothing where that throws, as any access to a thrown value may. */
export function tryTo<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function succeeds(work: () => void): boolean {
  return tryTo(() => [work()]) !== undefined;
}

/** Tells whether a value is an error, also one of another realm, and whatever its traps do. */
export function isError(value: unknown): value is Error {
  return types.isNativeError(value) || tryTo(() => value instanceof Error) === true;
}

/** Returns one property of a thrown value; nothing where it has none, or where reading it throws. */
export function read(value: unknown, name: string): unknown {
  return tryTo(() => (value as Record<string, unknown> | null | undefined)?.[name]);
}

/** Writes a value as JSON, as far as there is room for it; what cannot be read is left out. */
class BoundedJson {
  readonly #redaction: Redaction | undefined;
  readonly #length: number;
  text = '';

  constructor(length: number, redaction: Redaction | undefined) {
    this.#length = length;
    this.#redaction = redaction;
  }

  get #isFull(): boolean {
    return this.text.length >= this.#length;
  }

  write(value: unknown, place: readonly string[] = []): void {
    if (isJsonScalar(value)) this.text += value;
    else if (typeof value === 'function') this.text += '"[function]"';
    else if (typeof value !== 'object') this.#writeText(textOf(value, this.#length));
    else if (isError(value)) this.#writeText(`${nameOf(value)}: ${messageOf(value, most.message, this.#redaction)}`);
    else if (types.isDate(value)) this.text += JSON.stringify(tryTo(() => value.toISOString()) ?? 'Invalid Date');
    else if (Array.isArray(value) && place.length < mostLevels) this.#writeItems(value, place);
    else if (isPlain(value) && place.length < mostLevels) this.#writeFields(value, place);
    else this.text += `"[${nameOfClass(value)}]"`;
  }

  /** Looks for what must not be told before JSON writes it in another way. */
  #writeText(text: string): void {
    this.text += JSON.stringify(this.#redaction?.text(text, text.length >= this.#length) ?? text);
  }

  #writeItems(list: readonly unknown[], place: readonly string[]): void {
    this.text += '[';
    for (let index = 0; index < list.length && !this.#isFull; index += 1) {
      if (index > 0) this.text += ',';
      this.#writeInside(list, String(index), place);
    }
    this.text += ']';
  }

  #writeFields(value: object, place: readonly string[]): void {
    this.text += '{';
    let isFirst = true;
    for (const name in value) {
      if (this.#isFull) break;
      if (!Object.hasOwn(value, name) || read(value, name) === undefined) continue;
      if (!isFirst) this.text += ',';
      this.#writeText(name.slice(0, this.#length));
      this.text += ':';
      isFirst = false;
      this.#writeInside(value, name, place);
    }
    this.text += '}';
  }

  #writeInside(outer: object, name: string, place: readonly string[]): void {
    const inner = [...place, name];
    if (this.#redaction?.hides(inner)) this.text += '"[redacted]"';
    else if (!succeeds(() => this.write(read(outer, name), inner))) this.text += '"[unreadable]"';
  }
}

function isJsonScalar(value: unknown): value is null | boolean | number {
  return value === null || typeof value === 'boolean' || Number.isFinite(value);
}

/** Tells whether the fields of an object say what it is; those of buffers and promises do not. */
function isPlain(value: object): boolean {
  return !types.isPromise(value) && !types.isAnyArrayBuffer(value) && !ArrayBuffer.isView(value);
}

function nameOfClass(value: object): string {
  const name = tryTo(() => value.constructor.name);
  return typeof name === 'string' && name !== '' ? name.slice(0, most.name) : 'object';
}

/** Returns the beginning of what an object says of itself: its fields as JSON, or else its own text. */
function textOfObject(value: object, length: number, redaction?: Redaction): string {
  if (!isPlain(value)) return `a thrown ${nameOfClass(value)}`;
  const json = new BoundedJson(length, redaction);
  if (!succeeds(() => json.write(value))) return 'a thrown object that cannot be read';
  if (json.text !== '{}') return json.text;
  const own = tryTo(() => String(value));
  return own !== undefined && !own.startsWith('[object ') ? own.slice(0, length) : `a thrown ${nameOfClass(value)}`;
}

/** Returns the beginning of a text of any value. Never throws. */
export function textOf(value: unknown, length: number, redaction?: Redaction): string {
  if (typeof value === 'string') return value.slice(0, length);
  if (typeof value === 'function') return 'a thrown function';
  if (typeof value === 'bigint' && (value > hugeBigint || value < -hugeBigint)) return 'a huge bigint';
  if (typeof value === 'object' && value !== null) return textOfObject(value, length, redaction);
  return String(value).slice(0, length);
}

/** Returns the beginning of what a thrown value says. Never throws. */
export function messageOf(thrown: unknown, length = most.message, redaction?: Redaction): string {
  return textOf(isError(thrown) ? (read(thrown, 'message') ?? '') : thrown, length, redaction);
}

/** Returns the name of a thrown value. Never throws. */
export function nameOf(thrown: unknown, redaction?: Redaction): string {
  const name = isError(thrown) ? read(thrown, 'name') : 'Error';
  return name === undefined ? 'Error' : textOf(name, most.name, redaction);
}

/** Returns the beginning of an error's stack. One with a vast message has nothing else within it. */
export function stackOf(thrown: unknown, length = most.stack, redaction?: Redaction): string {
  if (!isError(thrown)) return '';
  const message = read(thrown, 'message');
  const isVast = typeof message === 'string' && message.length > length;
  return textOf(
    (isVast ? `${nameOf(thrown)}: ${message.slice(0, length)}` : read(thrown, 'stack')) ?? '',
    length,
    redaction,
  );
}

/** Returns what stands right behind an error: those of which it consists, and its cause. */
export function behind(thrown: unknown): unknown[] {
  const errors = read(thrown, 'errors');
  const items = tryTo(() => (Array.isArray(errors) ? errors.slice(0, mostCauses) : [])) ?? [];
  const cause = read(thrown, 'cause');
  return cause === undefined || cause === null ? items : [...items, cause];
}
