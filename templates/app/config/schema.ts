import { type ConfigOf, isletSettings } from 'islet/config';

/** The framework's settings, then the app's own. */
export const schema = {
  ...isletSettings,
  mail: {
    folder: {
      doc: 'Where mails are written.',
      format: String,
      default: '.islet/outbox',
      env: 'MAIL_FOLDER',
    },
  },
};

/** What queues' dependencies are handed. */
export type AppConfig = ConfigOf<typeof schema>;
