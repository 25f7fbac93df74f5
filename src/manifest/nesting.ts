/** Lists and objects in one another beyond this are refused: all that works through them level by level would fail. */
const mostLevels = 1_000;

const [quote, backslash] = [0x22, 0x5c];
const isOpening = (code: number) => code === 0x5b || code === 0x7b;
const isClosing = (code: number) => code === 0x5d || code === 0x7d;

/** Returns the place of the quote that ends a string of JSON. */
function endOfString(json: string, start: number): number {
  for (let at = start + 1; at < json.length; at += 1) {
    const code = json.charCodeAt(at);
    if (code === quote) return at;
    if (code === backslash) at += 1;
  }
  return json.length;
}

/** Tells whether JSON is nested in too many levels; it does not have to be valid. */
export function isTooDeep(json: string): boolean {
  if (json.length <= 2 * mostLevels) return false;
  let depth = 0;
  for (let at = 0; at < json.length; at += 1) {
    const code = json.charCodeAt(at);
    if (code === quote) at = endOfString(json, at);
    else if (isOpening(code)) depth += 1;
    else if (isClosing(code)) depth -= 1;
    if (depth > mostLevels) return true;
  }
  return false;
}
