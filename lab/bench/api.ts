import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Child } from '../kit/child.ts';

export interface ApiCalls {
  readonly calls: number;
  /** The moment of the first call by Date.now(). */
  readonly firstAt: number | undefined;
  /** For each call that says when its job was sent: the milliseconds from then until the call came. */
  readonly waits: readonly number[];
}

export interface Api {
  readonly origin: string;
  /** Returns the calls since this was asked before. */
  take(): Promise<ApiCalls>;
  close(): void;
}

/** Starts the API that jobs call. */
export async function startApi(): Promise<Api> {
  const file = fileURLToPath(new URL('./api-server.js', import.meta.url));
  const stdio = ['inherit', 'inherit', 'inherit', 'ipc'] as const;
  const { process: child } = new Child({ program: process.execPath, args: [file], stdio: [...stdio] });
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return {
    origin: `http://127.0.0.1:${port}`,
    async take() {
      child.send('take');
      const [seen] = (await once(child, 'message')) as [ApiCalls];
      return seen;
    },
    close: () => child.disconnect(),
  };
}
