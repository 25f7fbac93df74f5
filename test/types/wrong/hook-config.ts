import { defineHooks, type QueueHost } from 'islet/task';

export default defineHooks(({ config, log }: QueueHost<{ dsn: string }>) => ({
  // TS2551: Property 'dns' does not exist on type '{ dsn: string; }'. Did you mean 'dsn'?
  onWorkerStart: () => log.info(config.dns),
}));
