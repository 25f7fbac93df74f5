/** A lock that this process holds, with all that is needed to extend it without asking the main thread. */
export interface HeldLock {
  /** The lock's whole key in Redis, `<jobKey>:lock`. */
  key: string;
  token: string;
  durationMs: number;
  /** The hash of the queue's worker processes, and this process's id there. */
  workersKey: string;
  workerId: string;
  jobId: string;
}

/** Far more than a process runs at once. Memory that was never written costs nothing. */
const defaultCapacity = 4_096;
const slotBytes = 1_024;
const headerBytes = 32;
const separator = '\0';

// Words of the header. The process's deadline stands behind them, as one 64-bit number.
const beatWord = 0;
const inspectedWord = 1;
const sleepWord = 2;
const deadlineIndex = 2;

// The low bits of a slot's counter say what is in it: 0 nothing, 1 half a lock, 2 a lock.
const stateBits = 3;
const isHeld = 2;

function viewsOf(memory: SharedArrayBuffer) {
  const capacity = (memory.byteLength - headerBytes) / (8 + slotBytes);
  const lengthsStart = headerBytes + 4 * capacity;
  return {
    capacity,
    words: new Int32Array(memory, 0, 4),
    deadline: new BigInt64Array(memory, 0, headerBytes / 8),
    counters: new Int32Array(memory, headerBytes, capacity),
    lengths: new Int32Array(memory, lengthsStart, capacity),
    text: new Uint8Array(memory, lengthsStart + 4 * capacity),
  };
}

/** Stores the earlier of two deadlines, and returns it. */
function bringForward(cell: BigInt64Array, epochMs: number): number {
  const wanted = BigInt(Math.round(epochMs));
  for (;;) {
    const known = Atomics.load(cell, deadlineIndex);
    if (known !== 0n && known <= wanted) return Number(known);
    if (Atomics.compareExchange(cell, deadlineIndex, known, wanted) === known) return Number(wanted);
  }
}

/** The main thread's side. */
export interface TableWriter {
  readonly memory: SharedArrayBuffer;
  /** Says that the event loop turns. */
  beat(): void;
  /** Whether somebody may debug this process. */
  setInspected(inspected: boolean): void;
  /**
   * Writes down a lock; returns how to take it out again. A lock whose names are longer than 1 KB together, or that
   * finds the table full, is not written down: a blocked event loop may then lose it, as it would without a guard.
   */
  hold(lock: HeldLock): () => void;
  /** Says when the process has to be gone; the earliest time said by either side stands, and is returned. */
  bringForward(epochMs: number): number;
}

export function createTable(capacity = defaultCapacity): TableWriter {
  const memory = new SharedArrayBuffer(headerBytes + capacity * (8 + slotBytes));
  const { words, deadline, counters, lengths, text } = viewsOf(memory);
  const encoder = new TextEncoder();
  const free: number[] = [];
  let used = 0;
  const write = (slot: number, { key, token, durationMs, workersKey, workerId, jobId }: HeldLock) => {
    const entry = [key, token, durationMs, workersKey, workerId, jobId].join(separator);
    const { read, written } = encoder.encodeInto(entry, text.subarray(slot * slotBytes, (slot + 1) * slotBytes));
    lengths[slot] = read === entry.length ? written : 0;
  };
  return {
    memory,
    beat: () => void Atomics.add(words, beatWord, 1),
    setInspected: (inspected) => void Atomics.store(words, inspectedWord, inspected ? 1 : 0),
    hold(lock) {
      const slot = free.pop() ?? used++;
      if (slot >= capacity) return () => {};
      const counter = Atomics.add(counters, slot, 1);
      write(slot, lock);
      Atomics.add(counters, slot, 1);
      // Like the counter itself, this wraps around.
      const held = (counter + isHeld) | 0;
      return () => {
        // A second call must not take out the lock that has got the slot since.
        if (Atomics.compareExchange(counters, slot, held, held + 2) !== held) return;
        free.push(slot);
      };
    },
    bringForward: (epochMs) => bringForward(deadline, epochMs),
  };
}

/** The guard thread's side. */
export interface TableReader {
  /** How often the event loop has beaten. */
  beats(): number;
  inspected(): boolean;
  /** When the process has to be gone, in milliseconds since 1970. */
  deadline(): number | undefined;
  bringForward(epochMs: number): number;
  held(): HeldLock[];
  /** Waits without an event loop: an idle guard needs none. */
  sleep(ms: number): void;
}

function parseEntry(entry: string): HeldLock | undefined {
  const [key, token, durationMs, workersKey, workerId, jobId, ...rest] = entry.split(separator);
  if (!key || !token || !workersKey || !workerId || !jobId || rest.length > 0) return undefined;
  return { key, token, durationMs: Number(durationMs), workersKey, workerId, jobId };
}

export function readTable(memory: SharedArrayBuffer): TableReader {
  const { capacity, words, deadline, counters, lengths, text } = viewsOf(memory);
  const decoder = new TextDecoder();
  const read = (slot: number): HeldLock | undefined => {
    const counter = Atomics.load(counters, slot);
    if ((counter & stateBits) !== isHeld) return undefined;
    const entry = text.slice(slot * slotBytes, slot * slotBytes + (lengths[slot] ?? 0));
    // Whatever was written meanwhile may be half of each; the next look finds it whole.
    return Atomics.load(counters, slot) === counter ? parseEntry(decoder.decode(entry)) : undefined;
  };
  return {
    beats: () => Atomics.load(words, beatWord),
    inspected: () => Atomics.load(words, inspectedWord) === 1,
    deadline: () => Number(Atomics.load(deadline, deadlineIndex)) || undefined,
    bringForward: (epochMs) => bringForward(deadline, epochMs),
    held: () => Array.from({ length: capacity }, (_, slot) => read(slot)).filter((lock) => lock !== undefined),
    sleep: (ms) => void Atomics.wait(words, sleepWord, 0, ms),
  };
}
