/** A lock that this process holds, with all that is needed to extend it without asking the main thread. */
export interface HeldLock {
  key: string;
  token: string;
  durationMs: number;
  /** The hash of the queue's worker processes, in which this process has `workerId`. */
  workersKey: string;
  workerId: string;
  queue: string;
  jobId: string;
}

/** Far more than a process runs at once. Memory that was never written costs nothing. */
const defaultCapacity = 4_096;
const slotBytes = 2_048;
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

/** Memory that the main thread and the guard's share. Neither waits for the other. */
export class GuardTable {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #deadline: BigInt64Array;
  readonly #counters: Int32Array;
  readonly #lengths: Int32Array;
  readonly #text: Uint8Array;
  readonly #encoder = new TextEncoder();
  readonly #decoder = new TextDecoder();
  /** Slots that the main thread has used and needs no more. */
  readonly #free: number[] = [];
  #used = 0;

  /** Makes a table for so many locks, or opens one that the other thread has made. */
  constructor(from: number | SharedArrayBuffer = defaultCapacity) {
    const memory = typeof from === 'number' ? new SharedArrayBuffer(headerBytes + from * (8 + slotBytes)) : from;
    const capacity = (memory.byteLength - headerBytes) / (8 + slotBytes);
    const lengthsStart = headerBytes + 4 * capacity;
    this.memory = memory;
    this.#words = new Int32Array(memory, 0, 4);
    this.#deadline = new BigInt64Array(memory, 0, headerBytes / 8);
    this.#counters = new Int32Array(memory, headerBytes, capacity);
    this.#lengths = new Int32Array(memory, lengthsStart, capacity);
    this.#text = new Uint8Array(memory, lengthsStart + 4 * capacity);
  }

  beat(): void {
    Atomics.add(this.#words, beatWord, 1);
  }

  get beats(): number {
    return Atomics.load(this.#words, beatWord);
  }

  /** Whether somebody may debug this process. */
  get inspected(): boolean {
    return Atomics.load(this.#words, inspectedWord) === 1;
  }

  set inspected(inspected: boolean) {
    Atomics.store(this.#words, inspectedWord, inspected ? 1 : 0);
  }

  /** When the process has to be gone, in milliseconds since 1970. */
  get deadline(): number | undefined {
    return Number(Atomics.load(this.#deadline, deadlineIndex)) || undefined;
  }

  /** Notes when the process has to be gone. Returns the earliest time that either side has noted, which counts. */
  bringForward(epochMs: number): number {
    const wanted = BigInt(Math.round(epochMs));
    for (;;) {
      const known = Atomics.load(this.#deadline, deadlineIndex);
      if (known !== 0n && known <= wanted) return Number(known);
      if (Atomics.compareExchange(this.#deadline, deadlineIndex, known, wanted) === known) return Number(wanted);
    }
  }

  /** Adds a lock, on the main thread, unless its names are too long or the table is full. Returns what removes it. */
  hold(lock: HeldLock): () => void {
    const slot = this.#free.pop() ?? this.#used++;
    if (slot >= this.#counters.length) return () => {};
    const counter = Atomics.add(this.#counters, slot, 1);
    this.#write(slot, lock);
    Atomics.add(this.#counters, slot, 1);
    // This number wraps around, as the counter does.
    const held = (counter + isHeld) | 0;
    return () => {
      // A second call must not remove the lock that has got the slot since.
      if (Atomics.compareExchange(this.#counters, slot, held, held + 2) === held) this.#free.push(slot);
    };
  }

  #write(slot: number, { key, token, durationMs, workersKey, workerId, queue, jobId }: HeldLock): void {
    const entry = [key, token, durationMs, workersKey, workerId, queue, jobId].join(separator);
    const place = this.#text.subarray(slot * slotBytes, (slot + 1) * slotBytes);
    const { read, written } = this.#encoder.encodeInto(entry, place);
    this.#lengths[slot] = read === entry.length ? written : 0;
  }

  /** Reads all locks, on the guard's thread. */
  held(): HeldLock[] {
    return Array.from(this.#counters, (_, slot) => this.#read(slot)).filter((lock) => lock !== undefined);
  }

  #read(slot: number): HeldLock | undefined {
    const counter = Atomics.load(this.#counters, slot);
    if ((counter & stateBits) !== isHeld) return undefined;
    const start = slot * slotBytes;
    const entry = this.#text.slice(start, start + (this.#lengths[slot] ?? 0));
    // What changed meanwhile may be half of each; the next look finds it whole.
    return Atomics.load(this.#counters, slot) === counter ? parseEntry(this.#decoder.decode(entry)) : undefined;
  }

  /** Waits without an event loop, which an idle guard does not need. */
  sleep(ms: number): void {
    Atomics.wait(this.#words, sleepWord, 0, ms);
  }
}

function parseEntry(entry: string): HeldLock | undefined {
  const [key, token, durationMs, workersKey, workerId, queue, jobId, ...rest] = entry.split(separator);
  if (!key || !token || !workersKey || !workerId || !queue || !jobId || rest.length > 0) return undefined;
  return { key, token, durationMs: Number(durationMs), workersKey, workerId, queue, jobId };
}
