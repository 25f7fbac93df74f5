import { IsletError } from '../errors.ts';

/** Returns the first place that JSON would drop or change, as a path, or nothing. */
function findLoss(value: unknown, path: string, parents: unknown[]): string | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return undefined;
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : `${path} is ${value}`;
  if (typeof value !== 'object') return `${path} is ${value === undefined ? 'undefined' : `a ${typeof value}`}`;
  if (parents.includes(value)) return `${path} refers back to a value that holds it`;
  if ('toJSON' in value && typeof value.toJSON === 'function') {
    const written: unknown = value.toJSON();
    return typeof written === 'object' ? undefined : findLoss(written, `${path}.toJSON()`, parents);
  }
  if (value instanceof Map || value instanceof Set) return `${path} is a ${value.constructor.name}`;
  const inside = [...parents, value];
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined && !Array.isArray(value)) continue;
    const loss = findLoss(item, `${path}.${key}`, inside);
    if (loss) return loss;
  }
  return undefined;
}

/** Writes a value as JSON. Throws `code` when JSON cannot carry it or it is over `maxBytes`. */
export function toJson(value: unknown, owner: string, code: string, maxBytes: number): string {
  const loss = findLoss(value, 'value', []);
  const use = 'Use strings, numbers, lists and objects.';
  if (loss) throw new IsletError(code, `${owner} cannot travel as JSON: ${loss}. ${use}`);
  const json = JSON.stringify(value);
  const bytes = Buffer.byteLength(json);
  if (bytes <= maxBytes) return json;
  const advice = 'Store it elsewhere and send a reference, or raise the limit in the manifest';
  throw new IsletError(code, `${owner} is ${bytes} bytes of JSON, the limit is ${maxBytes}. ${advice}.`);
}
