// Compiled, never run: each line below must be a compile error, or the compiler reports the expectation as unused.
import { defineTask } from 'islet';
import { implement, type TaskContext } from 'islet/task';
import { createTestApp } from 'islet/testing';
import * as v from 'valibot';

const payload = v.object({ to: v.string() });
const sendManifest = defineTask({ name: 'send', queue: 'mail', payload });
const writeManifest = defineTask({ name: 'write', queue: 'audit', payload: v.object({}) });
const send = implement(
  sendManifest,
  async ({ to }, { deps }: TaskContext<{ mailer: { send(to: string): Promise<number>; close(): void } }>) =>
    deps.mailer.send(to),
);
const write = implement(writeManifest, async (_, { deps }: TaskContext<{ audit: { write(): void } }>) =>
  deps.audit.write(),
);
const plain = implement(defineTask({ name: 'plain', queue: 'mail', payload }), async () => {});
const tasks = [send, write, plain] as const;

export function wrongUses() {
  // @ts-expect-error a dependency that no task has
  createTestApp({ tasks, deps: { mailr: {} } });
  // @ts-expect-error a fake whose function takes another argument
  createTestApp({ tasks, deps: { mailer: { send: async (to: number) => to } } });
  // @ts-expect-error a fake whose function returns something else
  createTestApp({ tasks, deps: { mailer: { send: async () => 'sent' } } });
  // @ts-expect-error a manifest is not a task
  createTestApp({ tasks: [sendManifest] });
  // @ts-expect-error an option that does not exist
  createTestApp({ tasks, dep: {} });
  // @ts-expect-error a payload of the wrong type
  createTestApp({ tasks }).enqueue(sendManifest, { to: 5 });
}

export async function rightUses() {
  createTestApp({ tasks: [] });
  createTestApp({ tasks: [plain] });
  const app = createTestApp({
    tasks: [send, write, plain],
    deps: { mailer: { send: async (to) => to.length }, audit: { write() {} } },
  });
  const [job] = app.enqueued(sendManifest);
  const to: string | undefined = job?.payload.to;
  const [run] = await app.drain('mail', { delayed: true });
  const delayMs: number | undefined = run?.kind === 'retry' ? run.delayMs : undefined;
  return { to, delayMs };
}
