import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { keepTrack } from '../chaos/children.ts';

export interface ApiCalls {
  readonly calls: number;
  /** By Date.now(). */
  readonly firstAt: number | undefined;
  /** For each call that says when its job was sent: milliseconds from then until the call came. */
  readonly waits: readonly number[];
}

export interface Api {
  readonly origin: string;
  /** What has come since this was asked before. */
  take(): Promise<ApiCalls>;
  close(): void;
}

/** Starts the API that jobs call. */
export async function startApi(): Promise<Api> {
  const child = keepTrack(fork(fileURLToPath(new URL('./api-server.js', import.meta.url)), { execArgv: [] }));
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
