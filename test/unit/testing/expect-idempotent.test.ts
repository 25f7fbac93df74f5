import { expectIdempotent } from 'islet/testing';
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { defineTask } from '../../../src/manifest/define-task.ts';
import { implement, type TaskContext } from '../../../src/task.ts';

const payload = v.object({ id: v.string() });
const charge = defineTask({ name: 'charge', queue: 'money', payload });
const receipt = defineTask({ name: 'receipt', queue: 'money', payload });

/** A shop's database and mail, as a task would meet them. */
interface Shop {
  orders: { get(id: string): Promise<string | undefined>; put(id: string, state: string): Promise<void> };
  send: (to: string, key?: string) => Promise<void>;
  count: (what: string) => void;
  connect(): Promise<Client>;
  withClient<T>(work: (client: Client) => Promise<T>): Promise<T>;
}

/** A connection to the bank, from a pool. */
interface Client {
  noted(): Promise<boolean>;
  charge(): Promise<void>;
  note(): Promise<void>;
}

function createShop() {
  const states = new Map<string, string>();
  const sent: string[] = [];
  const keys = new Set<string>();
  const counted: string[] = [];
  const client: Client = {
    noted: async () => states.has('charged'),
    charge: async () => void sent.push('a charge'),
    note: async () => void states.set('charged', 'yes'),
  };
  return {
    connect: async () => client,
    withClient: <T>(work: (one: Client) => Promise<T>) => work(client),
    states,
    sent,
    counted,
    orders: {
      get: async (id: string) => states.get(id),
      put: async (id: string, state: string) => void states.set(id, state),
    },
    send: async (to: string, key?: string) => {
      if (key !== undefined && keys.has(key)) return;
      if (key !== undefined) keys.add(key);
      sent.push(to);
    },
    count: (what: string) => void counted.push(what),
  };
}

type Run = (context: TaskContext<Shop>) => Promise<void>;

/** Expects that a task made of `run` is idempotent, and returns what was said against it. */
async function check(run: Run): Promise<string> {
  const task = implement(charge, async (_, context: TaskContext<Shop>) => run(context));
  const effects = ({ states, sent, counted }: ReturnType<typeof createShop>) => ({ states, sent, counted });
  try {
    await expectIdempotent(task, { id: '1' }, { deps: createShop, effects });
    return 'idempotent';
  } catch (error) {
    expect(error).toMatchObject({ code: 'E_NOT_IDEMPOTENT' });
    return (error as Error).message;
  }
}

describe('expectIdempotent', () => {
  test('accepts a task whose effects are those of one run however often it runs', async () => {
    const said = await check(async ({ deps }) => {
      await deps.orders.put('1', 'paid');
      await deps.send('a', 'mail-1');
    });
    expect(said).toBe('idempotent');
  });

  test('refuses a task that does twice what it should do once', async () => {
    const said = await check(async ({ deps }) => deps.send('a'));
    expect(said).toMatch(/^Task "charge" is not idempotent: run twice, its effects are not those of one run\.?\n/);
    expect(said).toMatch(/\+.*\n?.*'a'/);
  });

  test('finds the crash between an effect and the note that it was done', async () => {
    const said = await check(async ({ deps }) => {
      if ((await deps.orders.get('1')) === 'mailed') return;
      await deps.send('a');
      await deps.orders.put('1', 'mailed');
    });
    expect(said).toMatch(/interrupted after call 2 \(send\) and run again/);
  });

  test('finds the crash between a note and the effect that it promises', async () => {
    const said = await check(async ({ deps }) => {
      if ((await deps.orders.get('1')) === 'mailed') return;
      await deps.orders.put('1', 'mailed');
      await deps.send('a');
    });
    expect(said).toMatch(/interrupted after call 2 \(orders\.put\) and run again/);
  });

  test('lets nothing of a dead run count: no catch, no finally, no sibling call', async () => {
    const said = await check(async ({ deps }) => {
      try {
        await Promise.all([deps.send('a', 'a'), deps.send('b', 'b')]);
      } finally {
        await deps.orders.put('1', 'done');
      }
    });
    expect(said).toBe('idempotent');
  });

  test('interrupts calls that return no promise', async () => {
    const said = await check(async ({ deps }) => {
      if ((await deps.orders.get('1')) === 'counted') return;
      deps.count('visit');
      await deps.orders.put('1', 'counted');
    });
    expect(said).toMatch(/interrupted after call 2 \(count\) and run again/);
  });

  test('compares the jobs that the task enqueued', async () => {
    let calls = 0;
    const stable = await check(async ({ enqueue }) => void (await enqueue(receipt, { id: '1' })));
    const unstable = await check(async ({ enqueue, deps }) => {
      if ((await deps.orders.get('1')) === undefined) await enqueue(receipt, { id: `${calls++}` });
      await deps.orders.put('1', 'done');
      await enqueue(receipt, { id: 'last' });
    });
    expect(stable).toBe('idempotent');
    expect(unstable).toMatch(/^Task "charge" is not idempotent: run twice/);
  });

  test('says so when the second run fails', async () => {
    const said = await check(async ({ deps }) => {
      if ((await deps.orders.get('1')) !== undefined) throw new Error('order 1 exists');
      await deps.orders.put('1', 'new');
    });
    expect(said).toBe('Task "charge" is not idempotent: run twice, its second run ended as "retry".\norder 1 exists');
  });

  test('says so when even the first run fails', async () => {
    const said = await check(() => Promise.reject(new Error('no')));
    expect(said).toBe('Task "charge" is not idempotent: its first run ended as "retry".\nno');
  });

  test('names a fake that is missing', async () => {
    const task = implement(charge, async (_, { deps }: TaskContext<Shop>) => deps.send('a'));
    await expect(expectIdempotent(task, { id: '1' }, { effects: () => 0 })).rejects.toThrow(
      'Task "charge" asked for its dependency "send"; the test gives none. Add a fake of it to the test\'s `deps`.',
    );
  });

  test('gives each run the meta, and refuses one that no job can have', async () => {
    const metas: unknown[] = [];
    const task = implement(charge, async (_, { meta, enqueue }) => {
      metas.push(meta);
      await enqueue(receipt, { id: '1' });
    });
    const options = { effects: () => [] };
    await expectIdempotent(task, { id: '1' }, { ...options, meta: { tenant: 'acme' } });
    expect(metas.length).toBeGreaterThan(3);
    expect(new Set(metas.map((meta) => JSON.stringify(meta)))).toEqual(new Set(['{"tenant":"acme"}']));
    const running = expectIdempotent(task, { id: '1' }, { ...options, meta: { tenant: 5 } as never });
    await expect(running).rejects.toMatchObject({ code: 'E_TEST_INVALID' });
  });

  test('refuses an at-most-once task', async () => {
    const pay = defineTask({ name: 'pay', queue: 'money', payload, delivery: 'at-most-once' });
    const task = implement(pay, async () => {});
    // @ts-expect-error an at-most-once task is a compile error, too
    await expect(expectIdempotent(task, { id: '1' }, { effects: () => 0 })).rejects.toThrow(
      'Task "pay" is not idempotent: it is at-most-once, so nothing runs it twice. Test it with runTask instead.',
    );
  });

  test('finds the crash between two calls on what a fake returned', async () => {
    const said = await check(async ({ deps }) => {
      const client = await deps.connect();
      if (await client.noted()) return;
      await client.charge();
      await client.note();
    });
    expect(said).toMatch(/interrupted after call 3 \(connect\(\)\.charge\) and run again/);
  });

  test('finds the crash between two calls in a callback', async () => {
    const said = await check(({ deps }) =>
      deps.withClient(async (client) => {
        if (await client.noted()) return;
        await client.charge();
        await client.note();
      }),
    );
    expect(said).toMatch(/interrupted after call 3 \(withClient\(\)\.charge\) and run again/);
  });

  test('aborts a dead run before the next one starts', async () => {
    let running = 0;
    let most = 0;
    const said = await check(async ({ deps, signal }) => {
      running += 1;
      most = Math.max(most, running);
      signal.addEventListener('abort', () => {
        running -= 1;
      });
      await deps.send('a', 'a');
      await deps.orders.put('1', 'done');
      running -= 1;
    });
    expect([said, most, running]).toEqual(['idempotent', 1, 0]);
  });

  test('lets nothing that a dead run does on its abort count, or escape', async () => {
    const said = await check(async ({ deps, signal }) => {
      signal.addEventListener('abort', () => {
        deps.count('aborted');
        deps.send('aborted');
      });
      if ((await deps.orders.get('1')) === undefined) deps.count('visit');
      await deps.orders.put('1', 'counted');
    });
    expect(said).toMatch(/interrupted after call 2 \(count\) and run again/);
    expect(said).not.toContain('aborted');
  });

  test('compares when and before which others the enqueued jobs would run', async () => {
    let delayMs = 0;
    const said = await check(async ({ enqueue }) => void (await enqueue(receipt, { id: '1' }, { delayMs: ++delayMs })));
    expect(said).toMatch(/^Task "charge" is not idempotent: run twice/);
    expect(said).toMatch(/delayMs: 1/);
  });

  test('refuses jobs that a producer refuses', async () => {
    const said = await check(async ({ enqueue }) => void (await enqueue(receipt, { id: 5 as never })));
    expect(said).toMatch(/its first run ended as "failed"\.\nTask "receipt" \(queue "money"\) refused its payload/);
  });

  test('gives each run a payload of its own, which JSON can carry', async () => {
    const manifest = defineTask({ name: 'list', queue: 'money', payload: v.any() });
    const task = implement(manifest, async (given, { deps }: TaskContext<Shop>) => {
      given.ids.push('last');
      await deps.send(given.ids.join(), 'once');
    });
    const options = { deps: createShop, effects: ({ sent }: ReturnType<typeof createShop>) => sent };
    await expectIdempotent(task, { ids: ['1'] }, options);
    await expect(expectIdempotent(task, { ids: new Set() }, options)).rejects.toThrow(
      'Task "list" is not idempotent: its first run ended as "failed".\nThe payload of task "list" (queue "money") ' +
        'cannot travel as JSON: value.ids is a Set.',
    );
  });
});

describe('expectIdempotent is not deceived by', () => {
  const sendsTwice = implement(charge, async (_, { deps }: TaskContext<Pick<Shop, 'send'>>) => deps.send('a'));
  const expectOf = (deps: () => Pick<Shop, 'send'>, effects: () => unknown) =>
    expect(expectIdempotent(sendsTwice, { id: '1' }, { deps, effects })).rejects;

  test('effects that go on changing after they were read', async () => {
    const sent: string[] = [];
    const deps = () => {
      sent.length = 0;
      return { send: async (to: string) => void sent.push(to) };
    };
    await expectOf(deps, () => sent).toMatchObject({ code: 'E_NOT_IDEMPOTENT' });
  });

  test('effects outside of the fakes that deps makes', async () => {
    const sent = new Set<string>();
    const deps = () => ({ send: async (to: string) => void sent.add(to) });
    const failure = expectOf(deps, () => sent);
    await failure.toMatchObject({
      code: 'E_TEST_INVALID',
      message: expect.stringMatching(
        /^The effects in a new world differ before task "charge" has run in it: `deps` must make a new world each time, and `effects` must read nothing that was made outside of it\.\n/,
      ),
    });
  });

  test('effects that differ from world to world', async () => {
    let id = 0;
    await expectOf(
      () => ({ send: async () => {} }),
      () => id++,
    ).toMatchObject({
      code: 'E_TEST_INVALID',
      message: expect.stringContaining(
        'before task "charge" has run in it: `effects` must leave out what differs from world to world, such as times ' +
          'and random ids.\n',
      ),
    });
  });

  test('effects that cannot be copied', async () => {
    await expectOf(
      () => ({ send: async () => {} }),
      () => ({ send() {} }),
    ).toMatchObject({
      code: 'E_TEST_INVALID',
      message: expect.stringMatching(
        /^The effects of task "charge" cannot be copied: send\(\) \{ ?\} could not be cloned\. Let `effects` return data only, without functions\.$/,
      ),
    });
  });

  test('effects that read the first of nothing', async () => {
    const task = implement(charge, async (_, { deps }: TaskContext<Shop>) => deps.send('a', 'a'));
    const effects = ({ sent }: ReturnType<typeof createShop>) => (sent[0] as string).toUpperCase();
    await expectIdempotent(task, { id: '1' }, { deps: createShop, effects });
  });
});
