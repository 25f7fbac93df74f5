import { AsyncLocalStorage } from 'node:async_hooks';
import { EventEmitter } from 'node:events';
import { expect, test, vi } from 'vitest';
import { watchCalls } from '../../../src/testing/watch-calls.ts';

/** Watches fakes, and lists the calls that count. */
function watch<T extends object>(fakes: T) {
  const paths: string[] = [];
  const watched = watchCalls(fakes, (path, call) => {
    paths.push(path);
    return call();
  });
  return { watched, paths };
}

class Account {
  #cents = 0;
  static opened = 0;

  get cents() {
    return this.#cents;
  }

  add(cents: number) {
    this.#cents += cents;
    return this.#note();
  }

  async addTwice(cents: number) {
    this.add(cents);
    this.add(cents);
    return this;
  }

  #note() {
    return this.#cents;
  }
}

test('calls count at whatever depth, those of a fake on itself do not', async () => {
  const account = new Account();
  const { watched, paths } = watch({ services: { account }, ping: () => 'pong' });
  expect(watched.services.account.add(2)).toBe(2);
  await watched.services.account.addTwice(1);
  expect(watched.ping()).toBe('pong');
  expect(watched.services.account.cents).toBe(4);
  expect(paths).toEqual(['services.account.add', 'services.account.addTwice', 'ping']);
});

test('calls on what a call returned count, those on what its promise brought too', async () => {
  const committed: string[] = [];
  const fakes = {
    db: {
      begin: async () => ({
        rows: [1],
        insert: () => ({ into: async (table: string) => table }),
        commit: () => 'done',
      }),
    },
    async lock() {
      return () => void committed.push('released');
    },
  };
  const { watched, paths } = watch(fakes);
  const transaction = await watched.db.begin();
  expect(await transaction.insert().into('orders')).toBe('orders');
  expect(transaction.commit()).toBe('done');
  expect(transaction.rows).toEqual([1]);
  const release = await watched.lock();
  release();
  expect(committed).toEqual(['released']);
  expect(paths).toEqual([
    'db.begin',
    'db.begin().insert',
    'db.begin().insert().into',
    'db.begin().commit',
    'lock',
    'lock()',
  ]);
});

test('calls on what a promise brought count, where Node marks each promise with a context', async () => {
  const { watched, paths } = watch({ connect: async () => ({ charge: () => 'charged' }) });
  await new AsyncLocalStorage().run({}, async () => {
    const client = await watched.connect();
    expect(client.charge()).toBe('charged');
  });
  expect(paths).toEqual(['connect', 'connect().charge']);
});

test('calls on what a callback is handed count', async () => {
  const rows: string[] = [];
  const fakes = {
    transaction: async <T>(work: (tx: { insert(row: string): void }) => Promise<T>) =>
      work({ insert: (row) => void rows.push(row) }),
  };
  const { watched, paths } = watch(fakes);
  const brought = await watched.transaction(async (tx) => {
    tx.insert('a');
    return 'committed';
  });
  expect([brought, rows]).toEqual(['committed', ['a']]);
  expect(paths).toEqual(['transaction', 'transaction().insert']);
});

test('what is created with new is watched', () => {
  const { watched, paths } = watch({ Account });
  const account = new watched.Account();
  expect(account).toBeInstanceOf(Account);
  expect(account.add(5)).toBe(5);
  expect(watched.Account.opened).toBe(0);
  expect(paths).toEqual(['Account().add']);
});

test('data is left as it is', async () => {
  const data = {
    list: [1, { a: 2 }],
    buffer: Buffer.from('ab'),
    bytes: new Uint8Array([1]),
    date: new Date(5),
    map: new Map([['a', 1]]),
    set: new Set(['a']),
    url: new URL('https://example.com/'),
    pattern: /a/g,
    error: new TypeError('no'),
    signal: new AbortController().signal,
    plain: { deep: { er: 1 } },
  };
  const store = { ...data, read: async () => data.plain, readNow: () => data.map };
  const { watched: deps, paths } = watch({ store });
  const watched = deps.store;
  for (const name of Object.keys(data) as (keyof typeof data)[]) expect(watched[name]).toBe(data[name]);
  expect(await watched.read()).toBe(data.plain);
  expect(watched.readNow().get('a')).toBe(1);
  expect(paths).toEqual(['store.read', 'store.readNow']);
});

test('a query that starts when it is awaited starts once, and what it brings is watched', async () => {
  const started = vi.fn();
  class Query {
    readonly #conditions: string[] = [];

    where(condition: string) {
      this.#conditions.push(condition);
      return this;
    }

    // biome-ignore lint/suspicious/noThenProperty: query builders have a then
    then(onValue: (rows: object) => void) {
      started(this.#conditions);
      onValue({ rows: this.#conditions.length, next: () => 'more' });
    }
  }
  const { watched, paths } = watch({ select: () => new Query() });
  const brought = (await watched.select().where('a').where('b')) as unknown as { rows: number; next(): string };
  expect(started.mock.calls).toEqual([[['a', 'b']]]);
  expect([brought.rows, brought.next()]).toEqual([2, 'more']);
  expect(paths).toEqual(['select', 'select().where', 'select().where', 'select().next']);
});

test('what everything is asked for does not count', async () => {
  class Feed {
    readonly #items = ['a', 'b'];

    async *[Symbol.asyncIterator]() {
      yield* this.#items;
    }

    toJSON() {
      return this.#items;
    }
  }
  const { watched, paths } = watch({ feed: new Feed() });
  const read: string[] = [];
  for await (const item of watched.feed) read.push(item);
  expect(read).toEqual(['a', 'b']);
  expect(JSON.stringify(watched)).toBe('{"feed":["a","b"]}');
  expect(`${watched.feed}`).toBe('[object Object]');
  expect(await Promise.resolve(watched.feed)).toBe(watched.feed);
  expect(watched.feed.constructor).toBe(Feed);
  expect(paths).toEqual([]);
});

test('a fake gets its own objects back, and knows a callback again', () => {
  const client = { query: () => 'rows' };
  const released: unknown[] = [];
  const emitter = new EventEmitter();
  const fakes = { pool: { connect: () => client, release: (one: unknown) => void released.push(one) }, emitter };
  const { watched } = watch(fakes);
  const connected = watched.pool.connect();
  expect(connected).not.toBe(client);
  expect(watched.pool.connect()).toBe(connected);
  watched.pool.release(connected);
  expect(released[0]).toBe(client);

  const onEvent = vi.fn();
  watched.emitter.on('event', onEvent);
  watched.emitter.emit('event', 1);
  watched.emitter.off('event', onEvent);
  watched.emitter.emit('event', 2);
  expect(onEvent.mock.calls).toEqual([[1]]);
});

test('frozen fakes are watched, and what is written reaches a fake', () => {
  const counter = { total: 0, add: () => 1 };
  const { watched, paths } = watch(Object.freeze({ frozen: Object.freeze({ send: () => 'sent' }), counter }));
  expect(watched.frozen.send()).toBe('sent');
  watched.counter.total = 5;
  expect(counter.total).toBe(5);
  expect('add' in watched.counter).toBe(true);
  expect(Object.keys({ ...watched.counter })).toEqual(['total', 'add']);
  expect(paths).toEqual(['frozen.send']);
});

test('a function with functions is watched with them', () => {
  const http = Object.assign((url: string) => url, { get: (url: string) => `GET ${url}`, defaults: { retries: 2 } });
  const { watched, paths } = watch({ http });
  expect([watched.http('a'), watched.http.get('b'), watched.http.defaults.retries]).toEqual(['a', 'GET b', 2]);
  expect(paths).toEqual(['http', 'http.get']);
});
