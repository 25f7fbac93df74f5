import { runTask } from 'islet/testing';
import { expect, test } from 'vitest';
import task from './task.ts';

function fitCurve(points: [x: number, y: number][], degree: number) {
  return runTask(task, { points: points.map(([x, y]) => ({ x, y })), degree }, { deps: {} });
}

async function fitted(points: [x: number, y: number][], degree: number) {
  const outcome = await fitCurve(points, degree);
  if (outcome.kind !== 'completed') throw new Error(`Expected "completed", got ${outcome.kind}`);
  return outcome.result;
}

function sample(from: number, to: number, count: number, f: (x: number) => number): [number, number][] {
  const xs = Array.from({ length: count }, (_, index) => from + ((to - from) * index) / (count - 1));
  return xs.map((x) => [x, f(x)]);
}

test('finds the parabola that the points lie on', async () => {
  const { coefficients, rmse } = await fitted(
    sample(-5, 20, 30, (x) => 3 - 2 * x + 0.5 * x ** 2),
    2,
  );
  [3, -2, 0.5].forEach((expected, power) => {
    expect(coefficients[power]).toBeCloseTo(expected, 8);
  });
  expect(rmse).toBeLessThan(1e-9);
});

test('finds the line of least squares among points that lie on none', async () => {
  const { coefficients, rmse } = await fitted(
    [
      [0, 0],
      [1, 2],
      [2, 1],
    ],
    1,
  );
  expect(coefficients[0]).toBeCloseTo(0.5, 12);
  expect(coefficients[1]).toBeCloseTo(0.5, 12);
  expect(rmse).toBeCloseTo(Math.sqrt(0.5), 12);
});

test('stays exact at degree 8, far from zero', async () => {
  const { coefficients, rmse } = await fitted(sample(1_000, 1_010, 200, Math.sin), 8);
  expect(coefficients).toHaveLength(9);
  expect(rmse).toBeLessThan(0.01);
});

test('fails at once when there are more coefficients than points', async () => {
  expect(
    await fitCurve(
      [
        [0, 0],
        [1, 1],
      ],
      2,
    ),
  ).toMatchObject({ kind: 'failed' });
});

test('fails at once when points share their x', async () => {
  expect(
    await fitCurve(
      [
        [1, 0],
        [1, 1],
        [1, 2],
      ],
      1,
    ),
  ).toMatchObject({ kind: 'failed' });
});

test('refuses degree 9', async () => {
  expect(await fitCurve(sample(0, 1, 20, Math.sin), 9)).toMatchObject({ kind: 'failed' });
});
