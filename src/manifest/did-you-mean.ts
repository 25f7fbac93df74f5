function distance(a: string, b: string): number {
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

/** Returns ` Did you mean "x"?` for a close known name, else the known names, else nothing. */
export function didYouMean(name: string, known: Iterable<string>): string {
  const names = [...known];
  const close = names
    .map((candidate) => ({ candidate, cost: distance(name.slice(0, 100), candidate) }))
    .filter(({ candidate, cost }) => cost <= Math.max(2, candidate.length / 3))
    .sort((a, b) => a.cost - b.cost)[0];
  if (close) return ` Did you mean "${close.candidate}"?`;
  return names.length > 0 ? ` Known: ${names.sort().join(', ')}.` : '';
}
