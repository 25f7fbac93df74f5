import { createHash, randomBytes } from 'node:crypto';

let lastMs = 0;
let counter = 0;

const randomLength = 8;
/** Random bytes for many ids: asking the system for some costs as much as all else of an id. */
let random = Buffer.alloc(0);

function takeRandom(): Buffer {
  if (random.length < randomLength) random = randomBytes(randomLength * 128);
  const taken = random.subarray(0, randomLength);
  random = random.subarray(randomLength);
  return taken;
}

function format(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;
}

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
  const bytes = takeRandom();
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x80;
  return format(`${time}7${counter.toString(16).padStart(3, '0')}${bytes.toString('hex')}`);
}

/** Derives the id of the n-th job that a job enqueues: the same in a rerun, so that a rerun does not fan out twice. */
export function deriveJobId(parent: string, index: number): string {
  const hash = createHash('sha256').update(`${parent}\n${index}`).digest('hex');
  return format(`${hash.slice(0, 12)}8${hash.slice(13, 16)}8${hash.slice(17, 32)}`);
}
