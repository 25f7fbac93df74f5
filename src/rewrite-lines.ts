/** Where a logger notes the symbol under which it keeps its output. */
const outputKey = Symbol('islet.output');

interface Output {
  write(line: string): void;
}

/** Notes in a logger the symbol under which it keeps its output. */
export function letRewrite<L extends object>(log: L, output: symbol): L {
  return Object.defineProperty(log, outputKey, { value: output });
}

/**
 * Lets a logger, and what is made of it, write other lines than its own. The logger has to be no one else's. One that knows
 * no `outputKey`, such as a test's, is left as it is: who calls this loads no logger.
 */
export function rewriteLines(log: object, rewrite: (line: string) => string): void {
  const key = (log as { [outputKey]?: symbol })[outputKey];
  if (key === undefined) return;
  const own = log as Record<symbol, Output>;
  const output = own[key];
  if (output) own[key] = { write: (line) => output.write(rewrite(line)) };
}
