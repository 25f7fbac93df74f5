// The app that the programs of wrong/ and completion/ belong to.
import { asFunction, asValue } from 'awilix';
import { defineTask } from 'islet';
import type { DependenciesOf, QueueHost } from 'islet/task';
import * as v from 'valibot';

export interface Mailer {
  send(to: string, subject: string): Promise<number>;
  close(): Promise<void>;
}

export const sendEmail = defineTask({
  name: 'send-email',
  queue: 'mail',
  payload: v.object({ to: v.string(), subject: v.string(), copies: v.optional(v.number()) }),
  result: v.object({ messageId: v.number() }),
});

export const charge = defineTask({
  name: 'charge',
  queue: 'money',
  payload: v.object({ cents: v.number() }),
  delivery: 'at-most-once',
});

export const report = defineTask({
  name: 'report',
  queue: 'reports',
  payload: v.object({
    day: v.pipe(
      v.string(),
      v.transform((text) => new Date(text)),
    ),
  }),
  result: v.object({ pages: v.number() }),
  keepResultMs: 60_000,
  priority: 5,
});

export function dependencies({ config }: QueueHost<{ sender: string }>) {
  return {
    mailer: asFunction((): Mailer => ({ send: async () => 1, close: async () => {} })).singleton(),
    sender: asValue(config.sender),
  };
}

export type Dependencies = DependenciesOf<typeof dependencies>;
