import { defineHooks } from 'islet/task';

export default defineHooks(({ log }) => ({
  async aroundJob({ id }, run) {
    const end = await run();
    // TS2339: Property 'error' does not exist on type 'JobEnd'.
    log.info({ id, error: end.error });
  },
}));
