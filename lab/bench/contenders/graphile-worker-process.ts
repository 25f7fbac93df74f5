import { callApi } from '../app/tasks/call/call-api.ts';
import { importFrom } from './install.ts';

interface Graphile {
  run(options: object): Promise<{ stop(): Promise<void> }>;
}

const { DATABASE_URL: connectionString = '', CONCURRENCY, MODULES = '' } = process.env;
const { run } = await importFrom<Graphile>(MODULES, 'graphile-worker/dist/index.js');
const runner = await run({
  connectionString,
  concurrency: Number(CONCURRENCY),
  noHandleSignals: true,
  taskList: {
    noop: async () => {},
    call: async (payload: unknown) => {
      await callApi((payload as { url: string }).url);
    },
  },
});
process.on('SIGTERM', async () => {
  await runner.stop();
  process.exit();
});
console.log('ready');
