import { mkdir } from 'node:fs/promises';
import { asFunction, asValue } from 'awilix';
import type { DependenciesOf, QueueHost } from 'islet/task';
import type { AppConfig } from '../../config/schema.ts';
import { createHttpClient, type HttpClient } from './http-client.ts';
import { isPrivateAddress } from './private-address.ts';
import { createScrape } from './scrape.ts';

export default async function dependencies({ config }: QueueHost<AppConfig>) {
  const { allowPrivateAddresses, maxBodyBytes, maxRedirects } = config.scraper;
  const refuses = allowPrivateAddresses ? () => false : isPrivateAddress;
  await mkdir(config.files.folder, { recursive: true });
  return {
    http: asFunction(() => createHttpClient({ refuses, maxBodyBytes, maxRedirects }))
      .singleton()
      .disposer((http) => http.close()),
    scrape: asFunction(({ http }: { http: HttpClient }) => createScrape(http)).singleton(),
    outputFolder: asValue(config.files.folder),
  };
}

export type Dependencies = DependenciesOf<typeof dependencies>;
