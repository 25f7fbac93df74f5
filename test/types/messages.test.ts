import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { beforeAll, expect, test } from 'vitest';

const folder = 'test/types/wrong';
const programs = readdirSync(folder).filter((file) => file.endsWith('.ts'));

interface Diagnostic {
  line: number;
  /** The error's code, and the first line of its message. */
  said: string;
  /** What the compiler adds, down to the field that is wrong. */
  details: string[];
}

let found: Map<string, Diagnostic[]>;

/** Compiles all programs at once, and returns what the compiler says of each. */
async function compile(): Promise<Map<string, Diagnostic[]>> {
  const args = [resolve('node_modules/typescript/bin/tsc'), '-p', folder, '--pretty', 'false'];
  const output = await new Promise<string>((done) => {
    execFile(process.execPath, args, (_, stdout, stderr) => done(stdout + stderr));
  });
  const byFile = new Map<string, Diagnostic[]>();
  let last: Diagnostic | undefined;
  for (const text of output.trimEnd().split('\n')) {
    const [, file = '', line, said = ''] = /^(\S+)\((\d+),\d+\): error (.*)$/.exec(text) ?? [];
    if (line === undefined) {
      last?.details.push(text);
      continue;
    }
    const name = file.replace(`${folder}/`, '');
    last = { line: Number(line), said, details: [] };
    byFile.set(name, [...(byFile.get(name) ?? []), last]);
  }
  return byFile;
}

/** Reads what a program says of itself: each wrong line has the compiler's messages above it, as comments. */
function readExpected(program: string): Omit<Diagnostic, 'details'>[] {
  const lines = readFileSync(`${folder}/${program}`, 'utf8').split('\n');
  const isMessage = (line: string) => /^\s*\/\/ TS\d+: /.test(line);
  return lines.flatMap((text, index) => {
    if (!isMessage(text)) return [];
    const wrong = lines.findIndex((line, other) => other > index && !isMessage(line));
    return [{ line: wrong + 1, said: text.replace(/^\s*\/\/ /, '') }];
  });
}

beforeAll(async () => {
  found = await compile();
});

test('has an error in every wrong program, and none elsewhere', () => {
  expect([...found.keys()].sort()).toEqual([...programs].sort());
});

test.each(programs)('says what is wrong in %s', (program) => {
  expect(readExpected(program)).not.toEqual([]);
  const said = (found.get(program) ?? []).map(({ line, said }) => ({ line, said }));
  expect(said).toEqual(readExpected(program));
});

test.each(programs)('is brief about %s', (program) => {
  for (const { said, details } of found.get(program) ?? []) {
    expect(details.length, details.join('\n')).toBeLessThanOrEqual(5);
    expect(said.length, said).toBeLessThanOrEqual(400);
    expect(details.join('\n').length, details.join('\n')).toBeLessThanOrEqual(450);
  }
});
