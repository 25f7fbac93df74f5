import { defineHooks, type QueueHost } from 'islet/task';

export default defineHooks(({ config, log }: QueueHost<{ dsn: string }>) => ({
  // TS2339: Property 'dns' does not exist on type '{ dsn: string; }'.
  onWorkerStart: () => log.info(config.dns),
}));
