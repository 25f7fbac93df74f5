/** Tells whether a text can begin the keys of an app. */
export function isPrefix(value: unknown): boolean {
  return typeof value === 'string' && /^[\w-]{1,60}$/.test(value);
}

const isDecodable = (text: string) => {
  try {
    return decodeURIComponent(text) !== undefined;
  } catch {
    return false;
  }
};

/** Says what is wrong with the URL of a Redis, or nothing. It shows no part of the URL, which may hold a password. */
export function findUrlProblem(url: unknown): string | undefined {
  if (typeof url !== 'string') return `it is ${url === null || url === undefined ? url : `a ${typeof url}`}`;
  if (!/^rediss?:\/\//.test(url)) return 'it begins with something else';
  if (/\s/.test(url)) return 'it has white space';
  if (!URL.canParse(url))
    return 'its host or port cannot be read; in a password, write "@", "/", ":", "?", "#" as %40 ...';
  const { hostname, pathname, searchParams, hash, username, password } = new URL(url);
  if (hostname === '') return 'it names no host';
  if (!isDecodable(username + password)) return 'its user or password has a "%" that is not written as %25';
  if (!/^\/?\d{0,5}$/.test(pathname)) return 'what follows its host is not the number of a database';
  const isKnown = [...searchParams].every(([name, value]) => name === 'family' && /^[046]$/.test(value));
  if (!isKnown) return 'it has a parameter other than family=4 or family=6';
  return hash === '' ? undefined : 'it has a "#"';
}
