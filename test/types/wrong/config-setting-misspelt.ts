import { type ConfigOf, isletSettings } from 'islet/config';
import type { QueueHost } from 'islet/task';

const schema = { ...isletSettings, mail: { folder: { doc: 'Where.', format: String, default: 'outbox' } } };

export const dependencies = ({ config }: QueueHost<ConfigOf<typeof schema>>) =>
  // TS2551: Property 'foldr' does not exist on type 'ConfigOf<{ folder: { doc: string; format: StringConstructor; default: string; }; }>'. Did you mean 'folder'?
  config.mail.foldr;
