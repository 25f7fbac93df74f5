import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AnyTask } from 'islet';
import type { TaskContext } from 'islet/task';
import { buildValue } from './build-value.ts';
import type { HostilePayload } from './recipe.ts';

/** Does what a hostile payload says; `child` is a task that takes any payload. */
export async function act(payload: HostilePayload, context: TaskContext<object>, child: AnyTask): Promise<unknown> {
  const value = buildValue(payload.recipe, payload);
  const { log, progress, enqueue } = context;
  const { token, user, items } = payload;
  switch (payload.act) {
    case 'throw':
      throw value;
    case 'throw later':
      await nextTurn();
      throw value;
    case 'return':
      return value;
    case 'return later':
      await nextTurn();
      return value;
    case 'log':
      log.info({ value, token, user, items, payload: { token, user, items } }, 'A hostile job says something');
      return undefined;
    case 'report':
      progress(value as object);
      return undefined;
    case 'enqueue':
      await enqueue(child, value);
      return undefined;
  }
}
