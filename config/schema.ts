import { type ConfigOf, isletSettings } from 'islet/config';

/** The framework's settings, then the app's own. */
export const schema = {
  ...isletSettings,
  scraper: {
    allowPrivateAddresses: {
      doc: 'Whether pages may be read from loopback and private networks.',
      format: Boolean,
      default: false,
      env: 'SCRAPER_ALLOW_PRIVATE',
    },
    maxBodyBytes: { doc: 'The largest page read, in bytes.', format: 'nat', default: 2_097_152 },
    maxRedirects: { doc: 'How many redirects are followed.', format: 'nat', default: 5 },
  },
  files: {
    folder: {
      doc: 'Where tasks write their files.',
      format: String,
      default: '.islet/files',
      env: 'FILES_FOLDER',
    },
  },
};

/** What queues' dependencies are handed. */
export type AppConfig = ConfigOf<typeof schema>;
