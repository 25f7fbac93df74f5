import { implement, PermanentError } from 'islet/task';
import { fitPolynomial } from './fit-polynomial.ts';
import manifest from './manifest.ts';

export default implement(manifest, async ({ points, degree }) => {
  const distinct = new Set(points.map(({ x }) => x)).size;
  if (distinct <= degree) {
    throw new PermanentError(`Degree ${degree} needs ${degree + 1} points with different x, got ${distinct}`);
  }
  return fitPolynomial(points, degree);
});
