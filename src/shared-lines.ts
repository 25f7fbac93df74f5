const capacity = 65_536;
/** In UTF-8, a character takes three bytes at most, and a pair of surrogates four. */
const bytesPerCharacter = 3;

/** How often the lock is tried, a millisecond each time. */
const mostTries = 100;

// Words of the header, before the lines themselves.
const lockWord = 0;
const startWord = 1;
const endWord = 2;
const headerBytes = 16;

/**
 * Log lines that wait to be written, in memory that two threads share. The thread that logs adds lines, and writes many
 * with one call; the thread that watches it writes them while the first one is blocked, or before it is killed.
 */
export class SharedLines {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #bytes: Buffer;

  constructor(memory = new SharedArrayBuffer(headerBytes + capacity)) {
    this.memory = memory;
    this.#words = new Int32Array(memory, 0, headerBytes / 4);
    this.#bytes = Buffer.from(memory, headerBytes);
  }

  get isEmpty(): boolean {
    return Atomics.load(this.#words, startWord) === Atomics.load(this.#words, endWord);
  }

  /** Adds a line; returns false when there is no room for it. */
  add(line: string): boolean {
    const end = Atomics.load(this.#words, endWord);
    if (end + line.length * bytesPerCharacter > capacity) return false;
    Atomics.store(this.#words, endWord, end + this.#bytes.write(line, end));
    return true;
  }

  /** Writes the waiting lines by `take`, which returns how many bytes it took: fewer than all when there is no room. */
  flush(take: (bytes: Uint8Array) => number): void {
    this.#locked(() => {
      for (;;) {
        const start = Atomics.load(this.#words, startWord);
        const end = Atomics.load(this.#words, endWord);
        const taken = start === end ? 0 : take(this.#bytes.subarray(start, end));
        if (taken === 0) return;
        Atomics.store(this.#words, startWord, start + taken);
      }
    });
  }

  /** Takes out what has not been written. Only the thread that adds calls this. */
  empty(): Buffer {
    return this.#locked(() => {
      const rest = Buffer.from(this.#bytes.subarray(this.#words[startWord], this.#words[endWord]));
      this.#words[startWord] = 0;
      this.#words[endWord] = 0;
      return rest;
    });
  }

  /** Works under the lock, which the other thread holds for one write, or for ever if it was ended during that. */
  #locked<T>(work: () => T): T {
    for (let tries = 0; tries < mostTries && Atomics.compareExchange(this.#words, lockWord, 0, 1) !== 0; tries++) {
      Atomics.wait(this.#words, lockWord, 1, 1);
    }
    try {
      return work();
    } finally {
      Atomics.store(this.#words, lockWord, 0);
      Atomics.notify(this.#words, lockWord);
    }
  }
}
