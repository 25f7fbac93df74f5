import convict from 'convict';
import { loadEnvFile, readConfig } from 'islet/config';
import { schema } from './schema.ts';

const environment = process.env.NODE_ENV ?? 'development';
loadEnvFile(environment);
const config = convict(schema, { args: [], env: process.env });

export default readConfig(config, schema, { env: process.env, file: `config/${environment}.json` });
