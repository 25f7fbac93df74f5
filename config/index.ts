import { existsSync } from 'node:fs';
import convict from 'convict';
import { readConfig } from 'islet/config';
import { type AppConfig, schema } from './schema.ts';

const file = `config/${process.env.NODE_ENV ?? 'development'}.json`;

export default readConfig<AppConfig>(convict(schema as never, { args: [], env: process.env }) as never, schema, {
  env: process.env,
  file: existsSync(file) ? file : undefined,
});
