// Compiled, never run: all of this must compile, and have these types exactly.
import convict from 'convict';
import { type ConfigOf, type IsletConfig, isletSettings, readConfig } from 'islet/config';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(..._: Same<A, B> extends true ? [] : [never]): void {}

export const schema = {
  ...isletSettings,
  mail: {
    folder: { doc: 'A text.', format: String, default: 'outbox', env: 'MAIL_FOLDER' },
    secure: { doc: 'A truth value.', format: Boolean, default: false },
    port: { doc: 'A format of convict.', format: 'port', default: 25 },
    from: { doc: 'Nothing by default.', format: String, default: null },
    reply: { doc: 'Nothing by default.', format: String, default: null as string | null },
    kind: { doc: 'One of several.', format: ['smtp', 'file'] as const, default: 'smtp' as const },
    kinds: { doc: 'A list.', format: Array, default: ['a'] },
    retries: { doc: 'Has a check.', format: (value: unknown) => void value, default: 3 },
    deep: { er: { doc: 'Has no format.', default: 1 } },
  },
};

const settings = readConfig(convict(schema, { args: [] }), schema, { env: {}, file: 'none.json' });
type Mail = typeof settings.mail;
same<typeof settings, ConfigOf<typeof schema>>();
same<typeof settings.redis, IsletConfig['redis']>();
same<typeof settings.env, string>();
same<typeof settings.worker, NonNullable<IsletConfig['worker']>>();
same<Mail['folder'], string>();
same<Mail['secure'], boolean>();
same<Mail['port'], number>();
same<Mail['from'], string | null>();
same<Mail['reply'], string | null>();
same<Mail['kind'], 'smtp' | 'file'>();
same<Mail['kinds'], string[]>();
same<Mail['retries'], number>();
same<Mail['deep']['er'], number>();
// A type that the caller states stands, as in apps that were made before there was ConfigOf.
interface Stated {
  mail: { folder: string };
}
same<ReturnType<typeof readStated>, Stated>();
const readStated = () => readConfig<Stated>(convict(schema as never) as never, schema, { env: {}, file: 'none.json' });
export const settingsForWorkers: IsletConfig = settings;
