import { describe, expect, test } from 'vitest';
import { parseBuiltFlags } from '../../../src/cli/built-worker.ts';
import type { Surroundings } from '../../../src/cli/main.ts';
import { workerCommand } from '../../../src/cli/worker-command.ts';
import {
  applyFlags,
  flagName,
  flagsOf,
  toChildArgs,
  type WorkerFlag,
  type WorkerFlags,
  workerFlags,
} from '../../../src/cli/worker-flags.ts';
import { type isletSettings, readWorkerSettings } from '../../../src/config.ts';
import { workerDefaults } from '../../../src/manifest/defaults.ts';

type Key = keyof WorkerFlags;

/** A value for each flag that takes one: as it is written, as it is read, and one that is refused. */
const samples: Partial<Record<Key, [written: string, read: unknown, refused?: string]>> = {
  queue: ['mail', ['mail']],
  concurrency: ['7', 7, '0'],
  gracefulTimeout: ['1500ms', 1_500, '5'],
  processes: ['64', 64, '65'],
  maxAge: ['5s', 5_000, '4999ms'],
  maxAgeVariance: ['1s', 1_000, '25d'],
  maxJobs: ['9', 9, '0'],
  maxMemory: ['1gb', 1_024, '300'],
  recycle: ['exit', 'exit', 'leave'],
  slot: ['blue', 'blue'],
  profile: ['throughput', 'throughput', 'leen'],
  healthPort: ['0', 0, '65536'],
};

const table = Object.entries(workerFlags) as [Key, WorkerFlag][];

function command() {
  const created = workerCommand({} as Surroundings);
  return created.exitOverride().configureOutput({ writeErr: () => {} });
}

function parseFolderFlags(args: string[]): WorkerFlags {
  const parser = command();
  const { unknown, operands } = parser.parseOptions(args);
  expect(operands).toEqual([]);
  if (unknown.length > 0) throw new Error(`Unknown option '${unknown[0]}'`);
  return parser.opts();
}

const parsers = {
  folder: parseFolderFlags,
  built: (args: string[]) => parseBuiltFlags(args, 'mail') as WorkerFlags,
};
const programs = ['folder', 'built'] as const;

/** The words that give a flag, and what is to be read from them. */
function give(key: Key, flag: WorkerFlag): [words: string[], value: unknown] {
  const [written, read] = samples[key] ?? [];
  return written === undefined ? [[flagName(key)], !flag.negated] : [[flagName(key), written], read];
}

const takenBy = (program: (typeof programs)[number]) =>
  table.filter(([, { only }]) => only === undefined || only === program);

test('each flag with a type has a sample', () => {
  const typed = table.filter(([, { type }]) => type).map(([key]) => key);
  expect(Object.keys(samples)).toEqual(typed);
});

describe.each(programs)('the parser of the %s worker', (program) => {
  const parse = parsers[program];

  test.each(takenBy(program))('reads --%s as the other one does', (key, flag) => {
    const [words, value] = give(key, flag);
    expect(parse(words)[key]).toEqual(value);
  });

  test('has no other flag than those of the table', () => {
    expect(flagsOf(program).map(({ key }) => key)).toEqual(takenBy(program).map(([key]) => key));
    const other = table.filter(([key]) => !takenBy(program).some(([taken]) => taken === key));
    for (const [key, flag] of other) expect(() => parse(give(key, flag)[0])).toThrow(/Unknown option/);
  });

  test.each(takenBy(program).filter(([key]) => samples[key]?.[2] !== undefined))('refuses a wrong %s', (key) => {
    const wrong = samples[key]?.[2] ?? '';
    expect(() => parse([flagName(key), wrong])).toThrow(
      expect.objectContaining({
        code: 'E_USAGE',
        message: expect.stringMatching(`^${flagName(key)}: expected .*"${wrong}"`),
      }),
    );
  });

  test('reads the command line that a parent writes, with what the parent was given for its workers', () => {
    const given = Object.fromEntries(takenBy(program).map(([key, flag]) => [key, give(key, flag)[1]]));
    const read = parse(toChildArgs(given));
    for (const [key, flag] of takenBy(program)) {
      const withoutIt = parse([])[key];
      expect([key, read[key]]).toEqual([key, flag.forChild ? given[key] : withoutIt]);
    }
  });
});

test('a parent keeps for itself only what it does itself', () => {
  const kept = table.filter(([, { forChild }]) => !forChild).map(([key]) => key);
  expect(kept).toEqual(['processes', 'profile', 'healthPort']);
});

test('a worker of a parent that was given nothing is only told that it has one', () => {
  expect(toChildArgs({})).toEqual(['--supervised']);
  expect(toChildArgs(parseFolderFlags([]))).toEqual(['--supervised']);
});

test('a queue may be given more than once', () => {
  expect(parseFolderFlags(['--queue', 'mail', '--queue', 'media']).queue).toEqual(['mail', 'media']);
  expect(toChildArgs({ queue: ['mail', 'media'] })).toEqual(['--queue', 'mail', '--queue', 'media', '--supervised']);
});

describe('the settings in force', () => {
  test('are the configured ones where no flag is given', () => {
    for (const program of programs) expect(applyFlags(parsers[program]([]), workerDefaults)).toEqual(workerDefaults);
  });

  test('are those of the flags where they are given', () => {
    const args = ['--graceful-timeout', '1s', '--max-memory', '300mb', '--no-guard', '--health-port', '0'];
    const configured = { ...workerDefaults, healthPort: 80, maxJobs: 7 };
    const expected = { gracefulTimeoutMs: 1_000, maxMemoryMb: 300, guard: false, healthPort: 0 };
    for (const program of programs) {
      expect(applyFlags(parsers[program](args), configured)).toEqual({ ...configured, ...expected });
    }
  });

  test('have the limits of the flags', () => {
    const ranged = table.filter(([key, { setting }]) => setting !== undefined && samples[key]?.[2] !== undefined);
    for (const [key, { setting = 'guard' }] of ranged) {
      const [written, read, refused] = samples[key] ?? [];
      const name = key as keyof typeof isletSettings.worker;
      expect([key, readWorkerSettings({ worker: { [name]: written } })[setting]]).toEqual([key, read]);
      // A setting may be a bare number of milliseconds.
      if (key !== 'gracefulTimeout') {
        expect(() => readWorkerSettings({ worker: { [name]: refused } }), key).toThrow('expected');
      }
    }
  });
});

test('the help shows each flag that is not hidden, with its text', () => {
  const help = command().helpInformation().replace(/\s+/g, ' ');
  for (const [key, flag] of takenBy('folder')) {
    const shown = flag.type ? `${flagName(key)} <${flag.type.shown}> ${flag.help}` : `${flagName(key)} ${flag.help}`;
    expect([key, help.includes(shown)]).toEqual([key, !flag.hidden]);
  }
});
