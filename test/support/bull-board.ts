import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { Queue } from 'bullmq';

type Board = Parameters<typeof createBullBoard>[0]['serverAdapter'];
type Routes = Parameters<Board['setApiRoutes']>[0];

/** Answers, by bull-board's own routes, what its page asks for: `path` is a route of its API, with its parameters. */
export async function askBoard(
  of: Queue,
  path: string,
  given: { query?: Record<string, string>; params?: Record<string, string> },
): Promise<Record<string, unknown>> {
  let routes: Routes = [];
  let queues: unknown;
  const server: Record<string, unknown> = {
    setQueues(all: unknown) {
      queues = all;
      return server;
    },
    setApiRoutes(all: Routes) {
      routes = all;
      return server;
    },
  };
  for (const name of ['setViewsPath', 'setStaticPath', 'setEntryRoute', 'setErrorHandler', 'setUIConfig']) {
    server[name] = () => server;
  }
  createBullBoard({ queues: [new BullMQAdapter(of)], serverAdapter: server as unknown as Board });
  const route = routes.find((each) => each.route === path);
  if (!route) throw new Error(`bull-board has no route ${path}`);
  const reply = await route.handler({ queues, query: {}, params: {}, body: {}, headers: {}, ...given } as never);
  const { body, status = 200 } = reply as { body: Record<string, unknown>; status?: number };
  if (status >= 300) throw new Error(`bull-board answered ${status}: ${JSON.stringify(body)}`);
  return body;
}
