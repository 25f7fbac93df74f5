import { expect, test } from 'vitest';
import { renderChart } from '../../../../lab/bench/chart.ts';
import { judge } from '../../../../lab/bench/marks.ts';
import { renderDocument, replaceShort } from '../../../../lab/bench/render-report.ts';
import type { CaseResult, Results } from '../../../../lab/bench/results.ts';
import { summarize } from '../../../../lab/bench/stats.ts';

const entry = (key: string, name: string, idle: number, peak: number) => ({
  key,
  name,
  figures: { idleRssMb: summarize([idle]), peakRssMb: summarize([peak - 1, peak, peak + 1]) },
});

function loadWith(leanPeak: number): CaseResult {
  return {
    name: 'load',
    title: 'RAM',
    about: 'calls & waits',
    base: 'bullmq',
    metrics: {
      idleRssMb: { label: 'RSS idle', unit: 'MB', better: 'less' },
      peakRssMb: { label: 'peak RSS', unit: 'MB', better: 'less' },
    },
    entries: [
      entry('islet-lean', 'Islet, lean', 50, leanPeak),
      entry('bullmq', 'bare <BullMQ>', 70, 100),
      entry('bee-queue', 'bee-queue', 60, 90),
    ],
  };
}

const results: Results = {
  date: '2026-01-02T03:04:05.000Z',
  commit: 'abc',
  quick: false,
  rounds: 5,
  minutes: 40,
  machine: { cpu: 'A', cores: 2, memoryGb: 4, system: 'Linux', node: 'v20', loadBefore: 0, loadAfter: 1 },
  versions: { node: 'v20' },
  skipped: [{ name: 'Celery', reason: 'not installed' }],
  failures: [],
  cases: [loadWith(79)],
  marks: judge([loadWith(79)]),
};

const verdictOf = (leanPeak: number) => judge([loadWith(leanPeak)])[0];

test('meets a mark at its value, and misses it above', () => {
  expect(verdictOf(80)).toMatchObject({ figure: 0.8, mark: '<= 0.80', verdict: 'met' });
  expect(verdictOf(81)).toMatchObject({ figure: 0.81, verdict: 'MISSED' });
});

test('says of a mark that it was not measured, when one of its figures is missing', () => {
  const unmeasured = judge([loadWith(79)]).filter(({ figure }) => figure === undefined);
  expect(new Set(unmeasured.map(({ verdict }) => verdict))).toEqual(new Set(['not measured']));
});

test('puts the short table in the place of the last one, and leaves the rest', () => {
  const before = 'a\n<!-- bench: written by npm run bench:report -->\nold\n<!-- /bench -->\nz\n';
  const after = replaceShort(before, results);
  expect(after).toMatch(/^a\n<!-- bench[\s\S]*Islet, lean +\| +50\.0 \| +79\.0[\s\S]*<!-- \/bench -->\nz\n$/);
  expect(after).not.toContain('old');
  expect(after).not.toContain('bee-queue');
  expect(replaceShort(after, results)).toBe(after);
});

test('throws when the place of the short table is gone', () => {
  expect(() => replaceShort('no place', results)).toThrow('README.md has no');
});

test('writes each case with spread and ratio, each mark, and what was skipped', () => {
  const text = renderDocument(results);
  expect(text).toMatch(/Islet, lean +\| +50\.0 \| 0\.71 \| +79\.0 \(78\.0–80\.0\) \| 0\.79/);
  expect(text).toMatch(/lean \/ bare BullMQ +\| +0\.79 \| <= 0\.80 \| +met/);
  expect(text).toMatch(/^\| bee-queue +\| +60\.0/m);
  expect(text).toContain('- Celery: not installed');
});

test('draws the smallest peak first, with names that are text in XML', () => {
  const svg = renderChart(loadWith(79));
  expect(svg.indexOf('Islet, lean')).toBeLessThan(svg.indexOf('bare &lt;BullMQ&gt;'));
  expect(svg).toContain('50.0 → 79.0');
  expect(svg).toContain('prefers-color-scheme: dark');
});
