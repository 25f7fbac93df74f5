import { hidePasswords, IsletError } from './errors.ts';

/** A Redis URL, or nothing; its message never shows the value, which may hold a password. */
function redisUrl(value: unknown): void {
  if (value === null) return;
  if (typeof value !== 'string' || !/^rediss?:\/\/\S+$/.test(value) || !URL.canParse(value)) {
    throw new Error('expected a redis:// or rediss:// URL');
  }
}

/** The framework's settings, as data for convict; an app spreads them into its own schema, so upgrades bring new ones. */
export const isletSettings = {
  env: {
    doc: 'Which config/<env>.json is read, and whether conveniences of development are allowed.',
    format: String,
    default: 'development',
    env: 'NODE_ENV',
  },
  redis: {
    url: {
      doc: 'Where Redis is: redis:// or rediss://, with user, password and database. Default: none.',
      format: redisUrl,
      default: null as string | null,
      env: 'REDIS_URL',
      sensitive: true,
    },
    prefix: {
      doc: 'What all keys in Redis start with; producers and workers must agree. Default: "islet".',
      format: (value: unknown) => {
        if (typeof value !== 'string' || !/^[\w-]{1,60}$/.test(value)) {
          throw new Error('expected 1 to 60 letters, digits, "-" or "_"');
        }
      },
      default: 'islet',
      env: 'REDIS_PREFIX',
    },
  },
  log: {
    level: {
      doc: 'The least level of a log line that is written. Default: "info".',
      format: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
      default: 'info',
      env: 'LOG_LEVEL',
    },
  },
};

/** What the framework reads of an app's parsed config. */
export interface IsletConfig {
  env: string;
  redis: { url: string | null; prefix: string };
  log: { level: string };
}

/** The part of a convict config that `readConfig` uses; the app brings convict, so that this module loads nothing. */
interface ConvictConfig<T> {
  loadFile(file: string): unknown;
  validate(options: { allowed: 'strict' }): unknown;
  getProperties(): T;
}

interface SettingNode {
  env?: string;
  doc?: string;
  [key: string]: unknown;
}

function findSetting(schema: object, key: string): SettingNode | undefined {
  return key
    .split('.')
    .reduce<SettingNode | undefined>((node, part) => node?.[part] as SettingNode | undefined, schema as SettingNode);
}

/** Says where a bad value came from: convict itself does not. */
function originOf(schema: object, key: string, env: Record<string, string | undefined>, file: string): string {
  const variable = findSetting(schema, key)?.env;
  return variable !== undefined && env[variable] !== undefined ? `environment variable ${variable}` : file;
}

function explain(said: string, schema: object, env: Record<string, string | undefined>, file: string): string {
  const [, key = '', problem = ''] = /^([\w.-]+): (.*)$/s.exec(said) ?? [];
  const unknown = /configuration param '([^']+)' not declared/.exec(said)?.[1];
  if (unknown) return `\`${unknown}\` in ${file} is not a setting. Remove it, or declare it in config/schema.ts`;
  if (!key) return said;
  const shown = problem.replace(/: value was (.*)$/s, (_, value) => `, got ${hidePasswords(value)}`);
  return `\`${key}\`: ${shown} (from ${originOf(schema, key, env, file)})`;
}

/** An environment without a file of its own has the defaults. */
function loadIfThere(config: Pick<ConvictConfig<unknown>, 'loadFile'>, file: string): void {
  try {
    config.loadFile(file);
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return;
    throw new Error(`${file} cannot be read: ${(error as Error).message}`);
  }
}

/**
 * Reads config/<env>.json over the defaults, and the environment over both. Throws `E_CONFIG_INVALID`, which names
 * each bad or unknown key, its value without passwords, and where it came from.
 */
export function readConfig<T>(
  config: ConvictConfig<T>,
  schema: object,
  source: { env: Record<string, string | undefined>; file: string },
): T {
  try {
    loadIfThere(config, source.file);
    config.validate({ allowed: 'strict' });
    return config.getProperties();
  } catch (error) {
    const lines = (error as Error).message.split('\n').filter((line) => line.trim() !== '');
    const problems = lines.map((line) => explain(line.trim(), schema, source.env, source.file));
    throw new IsletError('E_CONFIG_INVALID', `The configuration does not hold: ${hidePasswords(problems.join('; '))}.`);
  }
}
