import { asFunction } from 'awilix';
import type { DependenciesOf, QueueHost } from 'islet/task';
import type { AppConfig } from '../../config/schema.ts';
import { createMailer } from './mailer.ts';

/** What the tasks of this queue share. Loaded only in its worker; singletons are made before the first job. */
export default function dependencies({ config }: QueueHost<AppConfig>) {
  return { mailer: asFunction(() => createMailer(config.mail.folder)).singleton() };
}

export type Dependencies = DependenciesOf<typeof dependencies>;
