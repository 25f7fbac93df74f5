import { lusolve, multiply, transpose } from 'mathjs';

export interface Point {
  x: number;
  y: number;
}

/** Coefficients from the constant upwards, and the root of the mean squared error. */
export interface Fit {
  coefficients: number[];
  rmse: number;
}

/** Fits a polynomial by least squares. Needs more than `degree` distinct x, or there is no single answer. */
export function fitPolynomial(points: Point[], degree: number): Fit {
  const { middle, halfWidth } = spanOf(points);
  const scaled = points.map(({ x, y }) => ({ x: (x - middle) / halfWidth, y })); // in -1..1 the powers stay well apart
  const solution = solve(scaled, degree);
  return { coefficients: unscale(solution, middle, halfWidth), rmse: rmseOf(solution, scaled) };
}

function spanOf(points: Point[]) {
  const least = points.reduce((least, { x }) => Math.min(least, x), Number.POSITIVE_INFINITY);
  const most = points.reduce((most, { x }) => Math.max(most, x), Number.NEGATIVE_INFINITY);
  return { middle: (least + most) / 2, halfWidth: (most - least) / 2 };
}

function solve(points: Point[], degree: number): number[] {
  const powers = points.map(({ x }) => Array.from({ length: degree + 1 }, (_, power) => x ** power));
  const transposed = transpose(powers);
  const left = multiply(transposed, powers);
  const right = multiply(
    transposed,
    points.map(({ y }) => y),
  );
  return (lusolve(left, right) as number[][]).flat();
}

/** Turns a polynomial in (x - middle) / halfWidth into one in x: Horner's rule, with polynomials for numbers. */
function unscale(solution: number[], middle: number, halfWidth: number): number[] {
  return solution.reduceRight<number[]>((sum, coefficient) => {
    const next = [coefficient, ...sum.map((value) => value / halfWidth)];
    sum.forEach((value, power) => {
      next[power] = (next[power] ?? 0) - (value * middle) / halfWidth;
    });
    return next;
  }, []);
}

function rmseOf(solution: number[], points: Point[]): number {
  const valueAt = (x: number) => solution.reduceRight((sum, coefficient) => sum * x + coefficient, 0);
  const squares = points.reduce((sum, { x, y }) => sum + (valueAt(x) - y) ** 2, 0);
  return Math.sqrt(squares / points.length);
}
