/** Counts the letters that differ between two short texts. */
export function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const substitution = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(substitution, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}

/** Returns the known name that is closest to a name, if one is close at all. */
export function closest(name: string, known: readonly string[]): string | undefined {
  return known
    .map((candidate) => ({ candidate, cost: distance(name.slice(0, 100), candidate.slice(0, 100)) }))
    .filter(({ candidate, cost }) => cost <= Math.max(2, candidate.length / 3))
    .sort((a, b) => a.cost - b.cost)[0]?.candidate;
}

/** Returns ` Did you mean "x"?` for a close known name, else the known names, else nothing. */
export function didYouMean(name: string, known: Iterable<string>): string {
  const names = [...known];
  const close = closest(name, names);
  if (close !== undefined) return ` Did you mean "${close}"?`;
  return names.length > 0 ? ` Known: ${names.sort().join(', ')}.` : '';
}
