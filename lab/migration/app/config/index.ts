import convict from 'convict';
import { type IsletConfig, isletSettings, readConfig } from 'islet/config';

const config = convict(isletSettings as never, { args: [], env: process.env });

export default readConfig<IsletConfig>(config as never, isletSettings, { env: process.env, file: 'config/none.json' });
