export { loadEnvFile } from './environment.ts';

import { findVariables, readFlag, readVariable, warn, warnOfNearNames } from './environment.ts';
import { hidePasswords, IsletError } from './errors.ts';
import { workerDefaults } from './manifest/defaults.ts';
import { didYouMean } from './manifest/did-you-mean.ts';
import { findUrlProblem, isPrefix } from './redis-place.ts';
import { readDuration, readSize } from './units.ts';

/** Accepts a Redis URL, or nothing. Its message never shows the value, which may hold a password. */
function redisUrl(value: unknown): void {
  const problem = value === null ? undefined : findUrlProblem(value);
  if (problem) throw new Error(`expected a redis:// or rediss:// URL, and ${problem}`);
}

/** The longest duration, in milliseconds; timers take little more. */
export const maxDurationMs = 24 * 86_400_000;

/** Returns what a value means, or throws what was expected. */
type Format<T> = (value: unknown) => T;

/** Makes the default text, because convict turns a variable into the type of its default first: "25s" into 25. */
const setting = <T>(env: string, format: Format<T>, value: unknown) => ({ format, default: String(value), env });

/** Creates a format for numbers from `min` to `max`, which `read` reads from a text; NaN stands for any other text. */
function range(expected: string, read: (text: string) => number, min: number, max = Infinity): Format<number> {
  return (value) => {
    const number = read(String(value));
    if (number >= min && number <= max) return number;
    throw new Error(`expected ${expected}`);
  };
}

const readMs = (text: string) => readDuration(/^\d+$/.test(text) ? `${text}ms` : text);
const readWhole = (text: string) => (/^\d{1,9}$/.test(text) ? Number(text) : Number.NaN);

function duration(minMs: number): Format<number> {
  const expected = `milliseconds or a duration such as 25s or 10m, from ${minMs}ms to 24d`;
  return range(expected, readMs, minMs, maxDurationMs);
}

function count(min: number, max?: number): Format<number> {
  return range(`a whole number from ${min}${max === undefined ? '' : ` to ${max}`}`, readWhole, min, max);
}

const megabytes = range('a size such as 300mb or 1gb', readSize, 1);
const port = range('a port from 1 to 65535, or 0 for none', readWhole, 0, 65_535);

function orNone<T>(format: Format<T>): Format<T | undefined> {
  return (value) => {
    if (value === 'none') return undefined;
    try {
      return format(value);
    } catch (error) {
      throw new Error(`${(error as Error).message}, or none`);
    }
  };
}

function replaceOrExit(value: unknown): 'replace' | 'exit' {
  if (value === 'replace' || value === 'exit') return value;
  throw new Error('expected replace or exit');
}

function onOrOff(value: unknown): boolean {
  const flag = readFlag(String(value));
  if (flag === undefined) throw new Error('expected true or false');
  return flag;
}

/** The framework's settings, as data for convict; an app spreads them into its own schema, so upgrades bring new ones. */
export const isletSettings = {
  env: {
    doc: 'Names the config/<env>.json that is read. In production, conveniences of development are refused.',
    format: String,
    default: 'development',
    env: 'NODE_ENV',
  },
  redis: {
    url: {
      doc: 'The URL of Redis: redis:// or rediss://, with user, password and database. Default: none.',
      format: redisUrl,
      default: null as string | null,
      env: 'REDIS_URL',
      sensitive: true,
    },
    prefix: {
      doc: 'What all keys start with, except those of mapped queues; producers and workers must agree. Default: "islet".',
      format: (value: unknown) => {
        if (isPrefix(value)) return;
        throw new Error('expected 1 to 60 letters, digits, "-" or "_"');
      },
      default: 'islet',
      env: 'REDIS_PREFIX',
    },
  },
  log: {
    level: {
      doc: 'The lowest level of log lines that are written. Default: "info".',
      format: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
      default: 'info',
      env: 'LOG_LEVEL',
    },
  },
  worker: {
    gracefulTimeout: {
      doc: 'How long running jobs may go on when the worker stops, before they are aborted and given back. Default: 25s.',
      ...setting('WORKER_GRACEFUL_TIMEOUT', duration(0), workerDefaults.gracefulTimeoutMs),
    },
    unknownTaskDeadline: {
      doc: 'How long a job waits for a worker that knows its task and version, before it fails. Default: 10m.',
      ...setting('WORKER_UNKNOWN_TASK_DEADLINE', duration(0), workerDefaults.unknownTaskDeadlineMs),
    },
    maxReleases: {
      doc: 'How many times within the window stopping workers give a running job back, before it fails. Default: 20.',
      ...setting('WORKER_MAX_RELEASES', count(0), workerDefaults.maxReleases),
    },
    maxCrashes: {
      doc: 'How many crashes within the window make a job fail with E_POISONED. Default: 3.',
      ...setting('WORKER_MAX_CRASHES', count(1), workerDefaults.maxCrashes),
    },
    window: {
      doc: 'How long a release or a crash counts. Default: 24h.',
      ...setting('WORKER_WINDOW', duration(1_000), workerDefaults.windowMs),
    },
    maxAbandoned: {
      doc: 'How many timed-out jobs may keep running, before the worker stops. Default: 10.',
      ...setting('WORKER_MAX_ABANDONED', count(0), workerDefaults.maxAbandoned),
    },
    guard: {
      doc: 'Whether a thread keeps the locks while the event loop is blocked. Default: true.',
      ...setting('WORKER_GUARD', onOrOff, workerDefaults.guard),
    },
    maxBlock: {
      doc: 'How long the event loop may be blocked, before the guard ends the process. Default: 2m.',
      ...setting('WORKER_MAX_BLOCK', duration(1_000), workerDefaults.maxBlockMs),
    },
    healthPort: {
      doc: 'The port on which a worker answers GET /livez, on all interfaces; 0 for none. Default: 0.',
      ...setting('WORKER_HEALTH_PORT', port, workerDefaults.healthPort),
    },
    processes: {
      doc: 'How many worker processes a parent keeps, 1 to 64; none for one process without a parent. Default: none.',
      ...setting('WORKER_PROCESSES', orNone(count(1, 64)), 'none'),
    },
    maxAge: {
      doc: 'The age at which a worker process is replaced by a fresh one, from 5s; none for never. Default: none.',
      ...setting('WORKER_MAX_AGE', orNone(duration(5_000)), 'none'),
    },
    maxAgeVariance: {
      doc: 'How much earlier or later each process may be replaced, at most the age, so that not all are replaced at once. Default: 0.',
      ...setting('WORKER_MAX_AGE_VARIANCE', duration(0), workerDefaults.maxAgeVarianceMs),
    },
    maxJobs: {
      doc: 'The number of jobs after which a worker process is replaced; none for never. Default: none.',
      ...setting('WORKER_MAX_JOBS', orNone(count(1)), 'none'),
    },
    maxMemory: {
      doc: 'The resident memory at which a worker process is replaced, such as 300mb; none for never. Default: none.',
      ...setting('WORKER_MAX_MEMORY', orNone(megabytes), 'none'),
    },
    recycle: {
      doc: 'What happens at a limit: replace (a parent does it), or exit (with 0, for an orchestrator that restarts). Default: replace.',
      format: replaceOrExit,
      default: workerDefaults.recycle,
      env: 'WORKER_RECYCLE',
    },
  },
};

/** The part of an app's parsed config that the framework reads. */
export interface IsletConfig {
  env: string;
  redis: { url: string | null; prefix: string };
  log: { level: string };
  /** Values as they stand in the file or the environment; `readWorkerSettings` returns what they mean. */
  worker?: Partial<Record<keyof typeof isletSettings.worker, number | string | boolean>>;
}

/** What a value is of which convict knows an example: a literal stands for all values of its type. */
type Widened<T> = T extends string ? string : T extends number ? number : T extends boolean ? boolean : T;

/** The type of a setting's value, by its format, or else by its default. */
type SettingValue<S extends { default: unknown }> =
  | (S extends { format: readonly (infer Choice)[] }
      ? Choice
      : S extends { format: StringConstructor }
        ? string
        : S extends { format: NumberConstructor }
          ? number
          : S extends { format: BooleanConstructor }
            ? boolean
            : Widened<S['default']>)
  | Extract<S['default'], null | undefined>
  | (S extends { nullable: true } ? null : never);

/**
 * The type of what a schema's settings are once they are read: `ConfigOf<typeof schema>`. The framework's own settings are
 * those of `IsletConfig`.
 */
export type ConfigOf<Schema> = {
  [Key in keyof Schema]: Key extends keyof IsletConfig & keyof typeof isletSettings
    ? Schema[Key] extends (typeof isletSettings)[Key]
      ? NonNullable<IsletConfig[Key]>
      : SettingOf<Schema[Key]>
    : SettingOf<Schema[Key]>;
};

type SettingOf<S> = S extends { default: unknown } ? SettingValue<S> : S extends object ? ConfigOf<S> : Widened<S>;

export type WorkerSettings = Readonly<typeof workerDefaults>;

/** Reads the settings of a worker; what is not set has its default. Durations are in milliseconds, sizes in megabytes. */
export function readWorkerSettings({ worker = {} }: Pick<IsletConfig, 'worker'>): WorkerSettings {
  const read = Object.keys(workerDefaults).map((name) => {
    // In code, a number with a unit has it in its name.
    const key = name.replace(/M[sb]$/, '') as keyof typeof isletSettings.worker;
    const { format, default: otherwise } = isletSettings.worker[key];
    return [name, format(worker[key] ?? otherwise)];
  });
  return Object.fromEntries(read);
}

/** The part of a convict config that `readConfig` uses; the app brings convict, so that this module loads nothing. */
interface ConvictConfig {
  loadFile(file: string): unknown;
  set(key: never, value: never): unknown;
  validate(options: { allowed: 'strict' }): unknown;
  getProperties(): unknown;
}

interface ConfigSource {
  env: Record<string, string | undefined>;
  file: string;
}

/** Explains what convict said; it does not say where a bad value came from. */
function explain(said: string, schema: object, { env, file }: ConfigSource): string {
  const [, key = '', problem = ''] = /^([\w.-]+): (.*)$/s.exec(said) ?? [];
  const unknown = /configuration param '([^']+)' not declared/.exec(said)?.[1];
  if (unknown) return `\`${unknown}\` in ${file} is not a setting. Remove it, or declare it in config/schema.ts`;
  if (!key) return said;
  const shown = problem.replace(/: value was (.*)$/s, (_, value) => `, got ${hidePasswords(value)}`);
  const find = (node: unknown, part: string) => (node as Record<string, unknown> | undefined)?.[part];
  const variable = key.split('.').concat('env').reduce<unknown>(find, schema);
  const isFromEnv = typeof variable === 'string' && env[variable] !== undefined;
  return `\`${key}\`: ${shown} (from ${isFromEnv ? `environment variable ${variable}` : file})`;
}

/** Loads a file of settings. An environment without a file of its own has the defaults. */
function loadIfThere(config: Pick<ConvictConfig, 'loadFile'>, { env, file }: ConfigSource): void {
  try {
    config.loadFile(file);
  } catch (error) {
    if ((error as { code?: string }).code !== 'ENOENT') {
      throw new Error(`${file} cannot be read: ${(error as Error).message}`);
    }
    const name = env.NODE_ENV;
    const usual = ['development', 'test', 'production'];
    if (!name || usual.includes(name)) return;
    warn(`NODE_ENV is "${name}", but there is no ${file}, so the defaults apply.${didYouMean(name, usual)}`);
  }
}

/**
 * Reads config/<env>.json over the defaults, and the environment over both: its truth values are true, 1, on, yes, and
 * false, 0, off, no. Throws `E_CONFIG_INVALID`, which names each bad or unknown key, its value without passwords, and where
 * it came from. Warns of variables whose names are nearly those of settings.
 */
export function readConfig<Schema extends object>(
  config: ConvictConfig,
  schema: Schema,
  source: ConfigSource,
): ConfigOf<Schema>;
/** Does the same for a type that the caller states. */
export function readConfig<T>(config: ConvictConfig, schema: object, source: ConfigSource): T;
export function readConfig(config: ConvictConfig, schema: object, source: ConfigSource): unknown {
  const settings = findVariables(schema);
  warnOfNearNames(settings, source.env);
  const strict = settings.flatMap((setting) => readVariable(setting, source.env[setting.variable]) ?? []);
  try {
    loadIfThere(config, source);
    // Convict takes 12 from "12abc", and true from "off".
    for (const { key, value } of strict) if (value !== undefined) config.set(key as never, value as never);
    config.validate({ allowed: 'strict' });
  } catch (error) {
    const lines = (error as Error).message.split('\n').filter((line) => line.trim() !== '');
    for (const line of lines) strict.push({ key: '', problem: explain(line.trim(), schema, source) });
  }
  const problems = strict.flatMap(({ problem }) => problem ?? []);
  if (problems.length === 0) return config.getProperties();
  throw new IsletError('E_CONFIG_INVALID', `The configuration is wrong: ${hidePasswords(problems.join('; '))}.`);
}
