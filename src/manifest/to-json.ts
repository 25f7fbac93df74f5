import { IsletError } from '../errors.ts';

/** How many lists and objects may stand inside one another: far more than data has, and far less than a stack holds. */
const mostLevels = 500;

/** Why a value cannot travel, and where in it that stands, the innermost key first. Without a `why` it is too large. */
class Refusal {
  readonly keys: (string | number)[] = [];
  readonly why: string | undefined;
  readonly cause: unknown;

  constructor(why?: string, cause?: unknown) {
    this.why = why;
    this.cause = cause;
  }
}

const needsEscape = /["\\\p{Cc}\p{Cs}]/u;
/** Most texts are short and need no escapes, and `JSON.stringify` takes longer to find that out. */
const quote = (text: string) => (text.length > 100 || needsEscape.test(text) ? JSON.stringify(text) : `"${text}"`);

/** Names what is no JSON by its class, without its value. */
export function nameOf(value: object): string {
  const name = Object.getPrototypeOf(value)?.constructor?.name;
  if (typeof name !== 'string' || !/^[A-Z]\w{0,60}$/.test(name)) return 'an object of a class';
  return `${/^[AEIO]/.test(name) ? 'an' : 'a'} ${name}`;
}

/** Tells a literal from an instance of a class; each realm has an `Object` of its own. */
export function isLiteral(value: object): boolean {
  const prototype: object | null = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype && Object.getPrototypeOf(prototype) !== null) return false;
  return !(Symbol.toStringTag in value || Symbol.iterator in value);
}

/** Writes one value, and reads each part of it once: what was checked is what travels. */
class JsonWriter {
  readonly #parents: object[] = [];
  /** How many characters there may still be: a value may hold one large part a thousand times. */
  #room: number;

  constructor(mostCharacters: number) {
    this.#room = mostCharacters;
  }

  /** Returns JSON, or throws a `Refusal`. `written` says that the value is what its owner's `toJSON` gave. */
  write(value: unknown, key: string, written = false): string {
    if (typeof value === 'string') return this.#take(quote(value));
    if (typeof value === 'number') return this.#take(writeNumber(value));
    if (value === null || typeof value === 'boolean') return this.#take(String(value));
    if (value === undefined) throw new Refusal('is undefined');
    if (!written && typeof (value as { toJSON?: unknown }).toJSON === 'function') return this.#writeOwn(value, key);
    if (typeof value !== 'object') throw new Refusal(`is a ${typeof value}`);
    if (this.#parents.includes(value)) throw new Refusal('refers back to a value that holds it');
    if (this.#parents.length === mostLevels) throw new Refusal(`is more than ${mostLevels} levels deep`);
    this.#parents.push(value);
    const json = Array.isArray(value) ? this.#writeList(value) : this.#writeObject(value);
    this.#parents.pop();
    return this.#take(json, 2);
  }

  /** Writes what a value's own `toJSON` gives. An invalid Date gives null, and a Buffer a list of its bytes. */
  #writeOwn(value: object, key: string): string {
    if (ArrayBuffer.isView(value)) throw new Refusal(`is ${nameOf(value)}`);
    const given: unknown = (value as { toJSON(key: string): unknown }).toJSON(key);
    if (given === null && Object.prototype.toString.call(value) === '[object Date]') {
      throw new Refusal('is an invalid Date');
    }
    if (given === undefined || typeof given === 'function')
      throw new Refusal(`has a toJSON that gives ${typeof given}`);
    return this.write(given, key, true);
  }

  #writeList(list: unknown[]): string {
    if (!isPlainList(list)) throw new Refusal(`is ${nameOf(list)}`);
    const { length } = list;
    let json = '';
    let index = 0;
    try {
      for (; index < length; index += 1) json += (index === 0 ? '' : ',') + this.write(list[index], String(index));
    } catch (error) {
      throw within(error, index);
    }
    // For example, what a regular expression matched.
    if (Object.keys(list).length > length) throw new Refusal('is a list with named fields');
    return `[${json}]`;
  }

  #writeObject(value: object): string {
    if (!isLiteral(value)) throw new Refusal(`is ${nameOf(value)}`);
    const keys = Object.keys(value);
    let json = '';
    let key = '';
    try {
      for (key of keys) {
        const item = (value as Record<string, unknown>)[key];
        // An optional field that is not set is usual, and arrives as one that is not set.
        if (item === undefined) continue;
        json += `${json === '' ? '' : ','}${this.#take(quote(key))}:${this.write(item, key)}`;
      }
    } catch (error) {
      throw within(error, key);
    }
    const symbols = Object.getOwnPropertySymbols(value);
    if (symbols.some((symbol) => Object.prototype.propertyIsEnumerable.call(value, symbol))) {
      throw new Refusal('has a symbol as a key');
    }
    return `{${json}}`;
  }

  #take(json: string, length = json.length): string {
    this.#room -= length;
    if (this.#room < 0) throw new Refusal();
    return json;
  }
}

function writeNumber(value: number): string {
  if (!Number.isFinite(value)) throw new Refusal(`is ${value}`);
  // JSON has a -0, but `String` does not write it.
  return Object.is(value, -0) ? '-0' : String(value);
}

function isPlainList(list: unknown[]): boolean {
  const prototype = Object.getPrototypeOf(list);
  return prototype === Array.prototype || Object.getPrototypeOf(Object.getPrototypeOf(prototype)) === null;
}

/** A getter, a `toJSON` or a Proxy may throw anything. */
const toRefusal = (thrown: unknown) =>
  thrown instanceof Refusal ? thrown : new Refusal('throws when it is read', thrown);

/** Adds a key to where a refusal stands. */
function within(thrown: unknown, key: string | number): Refusal {
  const refusal = toRefusal(thrown);
  refusal.keys.push(key);
  return refusal;
}

function showPath(keys: readonly (string | number)[]): string {
  const shown = keys.slice(-12).reverse();
  const parts = shown.map((key) => {
    if (typeof key === 'number') return `[${key}]`;
    return /^[\w$-]{1,60}$/.test(key) ? `.${key}` : `[${JSON.stringify(key.slice(0, 60))}]`;
  });
  return `value${parts.join('')}${keys.length > shown.length ? ' ...' : ''}`;
}

/**
 * Writes a value as JSON that is read back as what it was: texts, numbers, true, false, null, lists and objects of these,
 * and what has a `toJSON` that gives one. Fields that are undefined are left out. Throws `code` for all else, with its
 * path, and for what is over `maxBytes`.
 */
export function toJson(value: unknown, owner: string, code: string, maxBytes: number): string {
  // The size is told where it is not far above the limit.
  const mostCharacters = 2 * maxBytes;
  let size = `over ${mostCharacters}`;
  try {
    const json = new JsonWriter(mostCharacters).write(value, '');
    const bytes = Buffer.byteLength(json);
    if (bytes <= maxBytes) return json;
    size = String(bytes);
  } catch (thrown) {
    const { why, keys, cause } = toRefusal(thrown);
    const seen = `${owner} cannot travel as JSON: ${showPath(keys)} ${why}`;
    if (why) throw new IsletError(code, `${seen}. Use strings, numbers, lists and objects.`, { cause });
  }
  const advice = 'Store it elsewhere and send a reference, or raise the limit in the manifest';
  throw new IsletError(code, `${owner} is ${size} bytes of JSON, the limit is ${maxBytes}. ${advice}.`);
}
