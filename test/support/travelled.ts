import { types } from 'node:util';

/** What becomes of a value as JSON. `either`: it may be refused, or arrive as JSON writes it. */
export type Travel = { kind: 'arrives'; value: unknown } | { kind: 'refused' } | { kind: 'either' };

const refused: Travel = { kind: 'refused' };
const deepest = 500;

/** Returns a value as JSON has it, which knows no minus zero. */
export const throughJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value) ?? 'null');

/** Says whether a value is one of JSON's: nothing of it is dropped or changed on its way. */
export function travelled(value: unknown): Travel {
  try {
    const found = judge(value, [], 0);
    return found === 'arrives' ? { kind: found, value: throughJson(value) } : { kind: found };
  } catch {
    return refused;
  }
}

type Judged = Travel['kind'];

function judge(value: unknown, parents: readonly unknown[], depth: number): Judged {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return 'arrives';
  if (typeof value === 'number') return Number.isFinite(value) ? 'arrives' : 'refused';
  if (typeof value !== 'object' || parents.includes(value)) return 'refused';
  if (depth > deepest || types.isProxy(value)) return 'either';
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') return judgeToJson(value, parents, depth);
  const inside = [...parents, value];
  if (Array.isArray(value)) {
    // A sparse array has fewer keys than items.
    const isWhole = Object.keys(value).length === value.length;
    return isWhole ? worst(value, inside, depth) : 'refused';
  }
  if (Object.getOwnPropertySymbols(value).length > 0) return 'either';
  const prototype = Object.getPrototypeOf(value);
  const isPlain = prototype === Object.prototype || prototype === null;
  if (!isPlain || Object.prototype.toString.call(value) !== '[object Object]') return judgeOther(value);
  return worst(Object.values(value), inside, depth);
}

function worst(items: readonly unknown[], inside: readonly unknown[], depth: number): Judged {
  const found = new Set(items.map((item) => (item === undefined ? 'either' : judge(item, inside, depth + 1))));
  if (found.has('refused')) return 'refused';
  return found.has('either') ? 'either' : 'arrives';
}

function judgeToJson(value: object, parents: readonly unknown[], depth: number): Judged {
  const written: unknown = (value as { toJSON(): unknown }).toJSON();
  if (value instanceof Date) return written === null ? 'refused' : 'arrives';
  // A buffer has a `toJSON`, but no typed array arrives as it was.
  if (ArrayBuffer.isView(value)) return 'either';
  if (typeof written === 'object' && written !== null && 'toJSON' in written) return 'either';
  return judge(written, parents, depth + 1);
}

/** What has fields of its own, or no class, may be taken for a plain object; what keeps its value elsewhere may not. */
function judgeOther(value: object): Judged {
  if (Object.getPrototypeOf(value) === null) return 'either';
  const hasFields = Object.prototype.toString.call(value) === '[object Object]' && Object.keys(value).length > 0;
  return hasFields ? 'either' : 'refused';
}
