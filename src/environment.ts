import { IsletError } from './errors.ts';
import { distance } from './manifest/did-you-mean.ts';

/** A setting that an environment variable may set. */
interface Variable {
  /** The setting's path in the schema. */
  readonly key: string;
  readonly variable: string;
  readonly kind: string;
  readonly sensitive: boolean;
}

/** What a variable says of a setting: a value of the right type, or why it has none. */
interface Read {
  readonly key: string;
  readonly value?: boolean;
  readonly problem?: string;
}

/** Says something to the person who starts this process. */
export function warn(message: string): void {
  process.emitWarning(message, { type: 'IsletWarning', code: 'ISLET_SETTINGS' });
}

/**
 * Sets the variables that stand in the file `.env` and are not set yet, in development. Elsewhere, variables are set by what
 * starts the process. Throws `E_CONFIG_INVALID` when the file is there and cannot be read.
 */
export function loadEnvFile(environment: string, file = '.env'): void {
  if (environment !== 'development') return;
  try {
    process.loadEnvFile(file);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return;
    throw new IsletError('E_CONFIG_INVALID', `${file} cannot be read: ${message}. Mend or remove it.`);
  }
}

/** Reads a truth value. Returns nothing for any other text. */
export function readFlag(text: string): boolean | undefined {
  if (/^(true|1|on|yes)$/i.test(text)) return true;
  return /^(false|0|off|no)$/i.test(text) ? false : undefined;
}

/** Names the type that convict turns a text into: that of the format, or else of the default. */
function kindOf({ format, default: value }: Record<string, unknown>): string {
  const built = [Boolean, Number, String].find((type) => type === format);
  return (built?.name ?? (typeof format === 'string' ? format : typeof value)).toLowerCase();
}

/** Lists the settings of a schema, at any depth, that name an environment variable. */
export function findVariables(schema: object, path = ''): Variable[] {
  return Object.entries(schema).flatMap(([name, node]) => {
    if (typeof node !== 'object' || node === null) return [];
    const key = path + name;
    const isSetting = 'default' in node && typeof node.env === 'string';
    if (!isSetting) return findVariables(node, `${key}.`);
    return [{ key, variable: node.env, kind: kindOf(node), sensitive: node.sensitive === true }];
  });
}

const numbers = ['number', 'int', 'integer', 'nat', 'port'];

/** Reads what a variable says, where convict would guess. */
export function readVariable({ key, variable, kind, sensitive }: Variable, text: string | undefined): Read | undefined {
  if (text === undefined || (kind !== 'boolean' && !numbers.includes(kind))) return undefined;
  const value = kind === 'boolean' ? readFlag(text) : undefined;
  if (value !== undefined) return { key, value };
  if (kind !== 'boolean' && /^[+-]?\d{1,20}(\.\d{1,20})?(e[+-]?\d{1,3})?$/i.test(text)) return undefined;
  const expected = kind === 'boolean' ? 'true or false' : 'a number';
  const got = sensitive ? '' : `, got ${JSON.stringify(text.slice(0, 60))}`;
  return { key, problem: `\`${key}\`: expected ${expected}${got} (from environment variable ${variable})` };
}

const squash = (name: string) => name.replaceAll('_', '').toUpperCase();
const firstWord = (name: string) => name.split('_', 1)[0];

/** Warns of variables that no setting reads, and that are nearly one that is not set: nobody else may own such a name. */
export function warnOfNearNames(settings: readonly Variable[], env: Record<string, string | undefined>): void {
  const known = settings.map(({ variable }) => variable).filter((name) => env[name] === undefined);
  const all = new Set(settings.map(({ variable }) => variable));
  for (const name of Object.keys(env)) {
    if (name.length > 60 || all.has(name)) continue;
    const isNear = (other: string) =>
      squash(name) === squash(other) || (firstWord(name) === firstWord(other) && distance(name, other) <= 2);
    const near = known.find(isNear);
    if (near) warn(`The environment variable ${name} sets nothing. Did you mean ${near}?`);
  }
}
