import convict from 'convict';
import { readConfig } from 'islet/config';
import { type AppConfig, schema } from './schema.ts';

const config = convict(schema as never, { args: [], env: process.env });

export default readConfig<AppConfig>(config as never, schema, {
  env: process.env,
  file: `config/${process.env.NODE_ENV ?? 'development'}.json`,
});
