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
}

function createShop() {
  const states = new Map<string, string>();
  const sent: string[] = [];
  const keys = new Set<string>();
  const counted: string[] = [];
  return {
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

/** Expects of a task made of `run` that it is idempotent, and returns what was said against it. */
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

  test('refuses an at-most-once task', async () => {
    const pay = defineTask({ name: 'pay', queue: 'money', payload, delivery: 'at-most-once' });
    const task = implement(pay, async () => {});
    // @ts-expect-error it is a compile error, too
    await expect(expectIdempotent(task, { id: '1' }, { effects: () => 0 })).rejects.toThrow(
      'Task "pay" is not idempotent: it is at-most-once, so nothing runs it twice. Test it with runTask instead.',
    );
  });
});
