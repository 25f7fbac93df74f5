import { isDeepStrictEqual } from 'node:util';
import { buildValue } from '../../lab/hostile/build-value.ts';
import { type HostilePayload, passwordMark, secretMark } from '../../lab/hostile/recipe.ts';
import type { Failure } from '../../src/broker/broker.ts';
import type { ResultHandle } from '../../src/producer.ts';
import { type HostileWorker, hostileTasks, isOver, type PoolName, type Watched } from './hostile-worker.ts';
import { type Travel, throughJson, travelled } from './travelled.ts';

const { attempts, timeoutMs, abandonAfterMs } = hostileTasks.async;
/** What killing a unit, starting the next one and a busy machine may take on top of each attempt's own time. */
const slackMs = 2_500;
const attemptLimitMs = timeoutMs + abandonAfterMs + slackMs;

/** Runs one hostile job. Returns what is wrong with how it ended, or nothing. */
export async function tryHostileJob(worker: HostileWorker, pool: PoolName, payload: HostilePayload) {
  const { lines, strays, producer, watch } = worker;
  const [lineCount, strayCount] = [lines.length, strays.length];
  const handle = await producer.enqueue(hostileTasks[pool], payload);
  const watched = await watch.over(handle.id, attempts * attemptLimitMs);
  const told = lines.slice(lineCount).filter((line) => line.includes(handle.id));
  return (
    strays.slice(strayCount)[0] ??
    findUnsettled(watched) ??
    findWrongEnd(payload, watched) ??
    (await findWrongAnswer(payload, handle, watched)) ??
    findLeak('The log', told, payload) ??
    (await findLeakInRecord(worker, handle.id, payload))
  );
}

function findUnsettled(watched: Watched): string | undefined {
  const { starts, settled, escaped, longestMs } = watched;
  if (escaped !== undefined) return `A delivery ended without an outcome: ${String(escaped)}`;
  if (!isOver(watched)) return `After ${starts} deliveries the job is not over: ${JSON.stringify(settled)}`;
  if (settled.length !== starts) return `${starts} deliveries were settled ${settled.length} times`;
  if (starts > attempts) return `A job of ${attempts} attempts was delivered ${starts} times`;
  if (longestMs > attemptLimitMs) return `A delivery took ${longestMs} ms`;
  return undefined;
}

/** What a task throws fails it after all attempts; what it returns completes it, or fails it at once. */
function findWrongEnd({ act, recipe, ...payload }: HostilePayload, { settled, starts }: Watched): string | undefined {
  const { kind, failure } = settled.at(-1) as { kind: string; failure?: Failure };
  if (failure) {
    const { code, causeName, causeMessage, stack } = failure;
    if (!/^E_[A-Z_]+$/.test(code)) return `The code of the failure is ${JSON.stringify(code)}`;
    if (code === 'E_INTERNAL') return `Islet itself failed: ${causeMessage} ${stack}`;
    const texts = [causeName, causeMessage, stack];
    if (texts.some((text) => typeof text !== 'string' || text.length > 16_000)) return 'The failure has no short texts';
    if (`${causeName}${causeMessage}` === '' || causeMessage === '[object Object]') {
      return `The failure says nothing: ${JSON.stringify(failure)}`;
    }
  }
  if (act === 'throw' || act === 'throw later') return kind === 'failed' ? undefined : `What threw ended as ${kind}`;
  if (act === 'log' || act === 'report') return undefined;
  const travel = travelOf({ act, recipe, ...payload });
  const code = act === 'enqueue' ? 'E_PAYLOAD_INVALID' : 'E_RESULT_INVALID';
  if (travel.kind === 'arrives' && kind === 'failed') return `A value of JSON was refused: ${JSON.stringify(failure)}`;
  if (travel.kind !== 'refused' || isAwaited(recipe)) return undefined;
  if (kind !== 'failed' || failure?.code !== code) return `What JSON cannot write ended as ${kind} (${failure?.code})`;
  return starts === 1 ? undefined : `Work that was done ran ${starts} times, because of what it returned`;
}

/** Says what becomes of the value that the job's code makes. */
function travelOf(payload: HostilePayload): Travel {
  try {
    return travelled(buildValue(payload.recipe, payload));
  } catch {
    return { kind: 'either' };
  }
}

/** Says whether returning the value may wait for what it promises. */
function isAwaited(recipe: HostilePayload['recipe']): boolean {
  if (recipe.is === 'proxy') return true;
  return /"(is":"odd","name":"([^"]*promise|thenable[^"]*|global|undefined|revoked proxy)|then)"/.test(
    JSON.stringify(recipe),
  );
}

async function findWrongAnswer(
  { act, recipe, ...payload }: HostilePayload,
  handle: ResultHandle<unknown>,
  { settled }: Watched,
): Promise<string | undefined> {
  const wasReturned = act === 'return' || act === 'return later';
  try {
    const result = await handle.result({ timeoutMs: 5_000 });
    if (settled.at(-1)?.kind !== 'completed') return 'A job that failed has a result';
    const travel = travelOf({ act, recipe, ...payload });
    if (!wasReturned || travel.kind !== 'arrives' || isDeepStrictEqual(throughJson(result), travel.value))
      return undefined;
    return `The result arrived as ${JSON.stringify(result).slice(0, 200)}`;
  } catch (error) {
    const { code, message, stack } = error as { code?: string; message: string; stack?: string };
    if (settled.at(-1)?.kind !== 'failed') return `The result of a job that completed is ${code}: ${message}`;
    return findLeak('The error of result()', [`${code} ${message} ${stack} ${JSON.stringify(error)}`], {
      act,
      recipe,
      ...payload,
    });
  }
}

async function findLeakInRecord(worker: HostileWorker, id: string, payload: HostilePayload) {
  if (!worker.redis) return undefined;
  const record = await worker.redis.hmget(worker.key(id), 'failedReason', 'stacktrace', 'defa');
  return findLeak('The record', [record.join(' ')], payload);
}

/** Text that a task itself writes to its log is its own business; the fields of its payload are not. */
function findLeak(where: string, texts: readonly string[], { act, recipe }: HostilePayload): string | undefined {
  const made = JSON.stringify(recipe);
  const isOwnText = act === 'log' && /"is":"(secret|password)"/.test(made);
  if (isOwnText) return undefined;
  const leak = texts.find((text) => text.includes(secretMark) || text.includes(passwordMark));
  return leak && `${where} shows a secret: ${leak.slice(0, 500)}`;
}
