import type { JobMeta } from './meta.ts';

/** What stands in place of a value that a manifest redacts. */
const mark = '[redacted]';

/** A shorter value stands in too many texts by chance: it is withheld where its field is seen, and not looked for. */
const shortest = 3;

/** A longer value is found by so many of its first characters, so that no text is costly to look through. */
const keyLength = 64;

/** Objects in log lines that are nested deeper are withheld as a whole. */
const mostLevels = 100;

type Path = readonly string[];

const split = (path: string): Path => path.split('.');
const fits = (part: string | undefined, name: string | undefined) => part === '*' || part === name;

/** Tells whether a path of `redact` has a form that can be looked for. */
export function isRedactPath(path: unknown): boolean {
  return typeof path === 'string' && !/[[\]]/.test(path) && split(path).every((part) => part !== '');
}

/** Tells whether one place of a payload holds, or lies in, a field that is redacted. */
export function touchesRedacted(redact: readonly string[], place: readonly string[]): boolean {
  return redact.some((path) => {
    const parts = split(path);
    const shared = Math.min(parts.length, place.length);
    return path === place[0] || parts.slice(0, shared).every((part, index) => fits(part, place[index]));
  });
}

/** Calls `take` with every text and number in a value, however deep. */
function collect(root: unknown, take: (text: string) => void): void {
  const left = [root];
  const seen = new Set<unknown>();
  while (left.length > 0) {
    const value = left.pop();
    if (typeof value === 'object' && value !== null) {
      if (seen.has(value)) continue;
      seen.add(value);
      for (const item of Object.values(value)) left.push(item);
    } else if (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint') take(String(value));
  }
}

/** Returns the values at a path, where `*` is every field and every item. A field's own name may hold dots. */
function valuesAt(root: unknown, path: Path): unknown[] {
  let found = [root];
  const whole: unknown[] = [];
  for (const [index, part] of path.entries()) {
    const rest = path.slice(index).join('.');
    found = found.flatMap((value) => {
      if (typeof value !== 'object' || value === null) return [];
      if (part === '*') return Object.values(value);
      if (index < path.length - 1 && Object.hasOwn(value, rest)) whole.push(Reflect.get(value, rest));
      return Object.hasOwn(value, part) ? [Reflect.get(value, part)] : [];
    });
  }
  return [...whole, ...found];
}

/** Returns the forms in which a value may stand in a text: bare, inside JSON, and inside a URL. */
function formsOf(text: string): string[] {
  // Half of a surrogate pair is replaced on its way to Redis, and no URL can hold it.
  const whole = text.replace(/\p{Surrogate}/gu, '\ufffd');
  return [text, whole, JSON.stringify(text).slice(1, -1), encodeURIComponent(whole)];
}

/** Looks for texts by their first characters. */
class TextSearch {
  /** Sorted by their code units; the longer texts that begin with a key stand beside it. */
  readonly #keys: readonly string[];
  readonly #whole = new Map<string, string[]>();

  constructor(texts: Iterable<string>) {
    for (const text of new Set(texts)) {
      const key = text.slice(0, keyLength);
      const known = this.#whole.get(key);
      if (known) known.push(text);
      else this.#whole.set(key, [text]);
    }
    this.#keys = [...this.#whole.keys()].sort((a, b) => (a < b ? -1 : 1));
  }

  /** Returns the first key from `low` on, and before `high`, whose character at `depth` is not below this one. */
  #seek(low: number, high: number, depth: number, code: number): number {
    let [from, to] = [low, high];
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((this.#keys[middle]?.charCodeAt(depth) ?? 0) < code) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  /** Returns how many characters at this place belong to a text. Where the text was cut, half a one counts, too. */
  lengthAt(text: string, at: number, wasCut: boolean): number {
    let [low, high, found] = [0, this.#keys.length, ''];
    for (let depth = 0; low < high; depth += 1) {
      const key = this.#keys[low] ?? '';
      if (key.length === depth) {
        found = key;
        low += 1;
      }
      if (at + depth >= text.length) return low < high && wasCut && depth > 0 ? depth : found.length;
      const code = text.charCodeAt(at + depth);
      low = this.#seek(low, high, depth, code);
      high = this.#seek(low, high, depth, code + 1);
    }
    const whole = this.#whole.get(found) ?? [];
    return whole.reduce((most, one) => Math.max(most, sharedLength(one, text, at)), 0);
  }
}

function sharedLength(whole: string, text: string, at: number): number {
  let length = 0;
  while (length < whole.length && whole.charCodeAt(length) === text.charCodeAt(at + length)) length += 1;
  return length;
}

/** The parts of a job in which a path is looked for: its payload, and, below `meta`, its meta. */
export interface RedactedJob {
  readonly input: unknown;
  readonly meta?: JobMeta;
}

/** Returns the fields that a first `*` means; alone, it would be every field of every object. */
function namesOf({ input, meta = {} }: RedactedJob): string[] {
  const metaNames = Object.keys(meta);
  const names = typeof input === 'object' && input !== null && !Array.isArray(input) ? Object.keys(input) : [];
  return metaNames.length > 0 ? [...names, 'meta', ...metaNames] : names;
}

/** What of one job is redacted: its values, which are looked for in texts, and its fields, which are known by their names. */
export class Redaction {
  /** Made when a text is to be looked through: most jobs do not fail, and log nothing. */
  #search: TextSearch | undefined;
  readonly #exact: ReadonlySet<string>;
  readonly #paths: readonly Path[];

  constructor(redact: readonly string[], job: RedactedJob) {
    const { input, meta } = job;
    const paths = redact.map(split);
    const texts: string[] = [];
    for (const path of paths) {
      const values = path.length === 1 && path[0] === '*' ? [input] : valuesAt(input, path);
      for (const value of [...values, ...valuesAt({ meta }, path)]) collect(value, (text) => texts.push(text));
    }
    const long = texts.filter(({ length }) => length >= shortest);
    this.#exact = new Set(long);
    const names = namesOf(job);
    this.#paths = paths.flatMap(([first, ...rest]) =>
      first === '*' ? names.map((name) => [name, ...rest]) : [[first ?? '', ...rest]],
    );
  }

  /** Returns a text without the values. A text that was cut may end with half of one: that is withheld, too. */
  text(text: string, wasCut = false): string {
    this.#search ??= new TextSearch([...this.#exact].flatMap(formsOf));
    let [clean, from] = ['', 0];
    for (let at = 0; at < text.length; ) {
      const length = this.#search.lengthAt(text, at, wasCut);
      if (length > 0) clean += text.slice(from, at) + mark;
      at += length || 1;
      if (length > 0) from = at;
    }
    return clean + text.slice(from);
  }

  /** Tells whether a field is redacted that has this name, below fields of those names, in any object. */
  hides(place: Path): boolean {
    const name = place.at(-1);
    return this.#paths.some((path) => {
      const start = place.length - path.length;
      return path.join('.') === name || (start >= 0 && path.every((part, index) => fits(part, place[start + index])));
    });
  }

  /** Returns a copy of a JSON value without the fields and the values. */
  json(value: unknown, place: Path = []): unknown {
    if (typeof value === 'string') return this.text(value);
    if (typeof value === 'number') return this.#exact.has(String(value)) ? mark : value;
    if (typeof value !== 'object' || value === null) return value;
    if (place.length >= mostLevels) return mark;
    const inside = (name: string, item: unknown) => {
      const inner = [...place, name];
      return this.hides(inner) ? mark : this.json(item, inner);
    };
    if (Array.isArray(value)) return value.map((item, index) => inside(String(index), item));
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [this.text(name), inside(name, item)]));
  }
}

export interface Redacting {
  readonly redact: readonly string[];
}

/** The redactions of payloads that are objects, made before a task can change its payload. */
const known = new WeakMap<object, Redaction>();

/** Returns what is redacted of a job; nothing where its manifest redacts nothing. */
export function redactionOf(manifest: Redacting | undefined, job: RedactedJob): Redaction | undefined {
  if (!manifest || manifest.redact.length === 0) return undefined;
  // The payload of a job that has ended is parsed anew by each look at it.
  const { input, meta } = job;
  const redacted = meta === undefined ? { input } : { input, meta };
  if (typeof input !== 'object' || input === null) return new Redaction(manifest.redact, redacted);
  const made = known.get(input) ?? new Redaction(manifest.redact, redacted);
  known.set(input, made);
  return made;
}
