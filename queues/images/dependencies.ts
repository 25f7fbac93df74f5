import { mkdir } from 'node:fs/promises';
import { asValue } from 'awilix';
import type { DependenciesOf, QueueHost } from 'islet/task';
import sharp from 'sharp';
import type { AppConfig } from '../../config/schema.ts';

export default async function dependencies({ config }: QueueHost<AppConfig>) {
  sharp.concurrency(1); // jobs run side by side already; more threads per image only cost RAM
  sharp.cache(false); // no two jobs open the same image
  await mkdir(config.files.folder, { recursive: true });
  return { sharp: asValue(sharp), outputFolder: asValue(config.files.folder) };
}

export type Dependencies = DependenciesOf<typeof dependencies>;
