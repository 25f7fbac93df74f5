import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface Mail {
  /** Names this mail: a second one of the same key changes nothing. */
  key: string;
  to: string;
  subject: string;
  text: string;
}

export interface Mailer {
  send(mail: Mail): Promise<void>;
}

/** Writes each mail into a file, for a start. A real mailer gives `key` to its provider as the idempotency key. */
export function createMailer(folder: string): Mailer {
  return {
    async send(mail) {
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, `${mail.key}.json`), `${JSON.stringify(mail, null, 2)}\n`);
    },
  };
}
