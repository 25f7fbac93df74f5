/** Milliseconds for the units of durations, and megabytes for those of sizes. */
const units: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, mb: 1, gb: 1_024 };

function read(text: string, form: RegExp): number {
  const [, amount, unit = ''] = form.exec(text) ?? [];
  return Number(amount) * (units[unit] ?? 1);
}

/** Reads a duration such as `500ms`, `60s` or `6h` in milliseconds. Returns NaN for any other text. */
export function readDuration(text: string): number {
  return read(text, /^(\d+)(ms|s|m|h|d)$/);
}

/** Reads a size such as `300mb` or `1gb` in megabytes. Returns NaN for any other text. */
export function readSize(text: string): number {
  return read(text, /^(\d{1,6})(mb|gb)$/);
}

/** Writes milliseconds as a duration that `readDuration` takes. */
export function showDuration(ms: number): string {
  return ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`;
}
