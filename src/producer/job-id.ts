import { createHash, randomUUID } from 'node:crypto';

let lastMs = 0;
let counter = 0;

/** Makes a UUID of version 7: ordered by time, and within a millisecond by a counter. */
export function createJobId(nowMs = Date.now()): string {
  if (nowMs > lastMs) {
    lastMs = nowMs;
    counter = 0;
  } else if (++counter > 0xfff) {
    lastMs++;
    counter = 0;
  }
  const time = lastMs.toString(16).padStart(12, '0');
  const count = counter.toString(16).padStart(3, '0');
  // Both versions end in the variant and 62 random bits, of which Node draws many at once.
  const end = randomUUID().slice(-17);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${count}-${end}`;
}

/** Derives the id of the n-th job that a job enqueues: the same in a rerun, so that a rerun does not fan out twice. */
export function deriveJobId(parent: string, index: number): string {
  const hash = createHash('sha256').update(`${parent}\n${index}`).digest('hex');
  const parts = [hash.slice(0, 8), hash.slice(8, 12), `8${hash.slice(13, 16)}`, `8${hash.slice(17, 20)}`];
  return `${parts.join('-')}-${hash.slice(20, 32)}`;
}
