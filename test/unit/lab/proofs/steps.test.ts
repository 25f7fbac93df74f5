import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseOptions as parseBench } from '../../../../lab/bench/options.ts';
import { parseOptions as parseChaos } from '../../../../lab/chaos/options.ts';
import { faultKinds } from '../../../../lab/chaos/schedule.ts';
import { UsageError } from '../../../../lab/kit/options.ts';
import { parseOptions } from '../../../../lab/proofs/options.ts';
import { groups, listSteps } from '../../../../lab/proofs/steps.ts';

const steps = listSteps(groups);
const chaos = steps.filter(({ group }) => group === 'chaos').map(({ flags }) => parseChaos(flags));

test('runs everything without a flag, each proof under a name of its own', () => {
  expect(parseOptions([])).toEqual({ only: groups, json: false });
  expect(new Set(steps.map(({ name }) => name)).size).toBe(steps.length);
  expect(new Set(steps.map(({ group }) => group))).toEqual(new Set(groups));
});

test('runs the chosen groups', () => {
  const { only, json } = parseOptions(['--only', 'nodes,bullmq', '--json']);
  expect(json).toBe(true);
  expect(listSteps(only).map(({ name }) => name)).toEqual(['bullmq', 'nodes']);
});

test.each([
  [['--only', 'chaos,bnech'], '--only takes proofs of chaos, bench, bullmq, nodes, with commas; got "bnech".'],
  [['--seeds', '3'], 'Known flags: --only, --json.'],
  [['chaos'], 'Known flags: --only, --json.'],
])('refuses %j and names what it takes', (args, message) => {
  expect(() => parseOptions(args)).toThrow(UsageError);
  expect(() => parseOptions(args)).toThrow(message);
});

test('five seeds of mixed faults run at 10,000 jobs for three minutes each', () => {
  const mixed = chaos.filter(({ only }) => only === undefined);
  expect(mixed.map(({ seed }) => seed)).toEqual([1, 2, 3, 4, 5]);
  for (const run of mixed) expect(run).toMatchObject({ jobs: 10_000, durationMs: 180_000 });
});

test('each kind of fault runs alone at 2,000 jobs for 25 seconds', () => {
  const alone = chaos.filter(({ only }) => only !== undefined);
  expect(alone.map(({ only }) => only)).toEqual(faultKinds);
  for (const run of alone) expect(run).toMatchObject({ jobs: 2_000, durationMs: 25_000 });
});

test('the bench is the whole one, whose results are kept with the code', () => {
  const [bench] = steps.filter(({ group }) => group === 'bench');
  expect(parseBench(bench?.flags ?? ['none'])).toMatchObject({ only: undefined, out: 'lab/bench/results.json' });
});

test('each script stands in package.json', () => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'));
  expect(steps.filter(({ script }) => scripts[script] === undefined)).toEqual([]);
  expect(scripts.proofs).toContain('lab/proofs/main.js');
});
