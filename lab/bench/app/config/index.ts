import convict from 'convict';
import { isletSettings, readConfig } from 'islet/config';

const config = convict(isletSettings, { args: [], env: process.env });

export default readConfig(config, isletSettings, { env: process.env, file: 'config/none.json' });
