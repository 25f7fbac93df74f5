import mail from './app/queues/mail/manifest.ts';

/** The queue as plain BullMQ knows it. */
export const bullmq = mail.bullmq ?? { name: 'Send_Mail', prefix: 'bull' };
