import { mkdir } from 'node:fs/promises';
import { asValue } from 'awilix';
import type { DependenciesOf, QueueHost } from 'islet/task';
import type { AppConfig } from '../../config/schema.ts';

export default async function dependencies({ config }: QueueHost<AppConfig>) {
  await mkdir(config.files.folder, { recursive: true });
  return { outputFolder: asValue(config.files.folder) };
}

export type Dependencies = DependenciesOf<typeof dependencies>;
