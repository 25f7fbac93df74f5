import { hidePasswords, IsletError } from '../errors.ts';

/** A way in which Redis refuses, with what to do about it. */
interface Kind {
  readonly code: string;
  readonly advice: string;
}

const login = { code: 'E_REDIS_DENIED', advice: 'Check the user and password in REDIS_URL.' };
const rights = {
  code: 'E_REDIS_DENIED',
  advice:
    'Give the user in REDIS_URL rights to the keys and channels that start with `redis.prefix`, and with the `bullmq.prefix` of a mapped queue.',
};
const replica = { code: 'E_REDIS_NOT_READY', advice: 'Point REDIS_URL to the primary.' };
const clustered = {
  code: 'E_REDIS_CLUSTERED',
  advice: 'REDIS_URL names one node of a cluster: name a Redis, or a proxy, that has all keys.',
};
const clients = { code: 'E_REDIS_FULL', advice: 'Raise its maxclients, or close connections that nobody needs.' };

/** The kinds of refusals by the word with which they begin. */
const kinds: Record<string, Kind> = {
  NOAUTH: login,
  WRONGPASS: login,
  NOPERM: rights,
  DENIED: { code: 'E_REDIS_DENIED', advice: 'Set a password for it, or turn off its protected mode.' },
  OOM: { code: 'E_REDIS_FULL', advice: 'Raise its maxmemory, or make room.' },
  BUSY: { code: 'E_REDIS_NOT_READY', advice: 'Wait for the script that it runs, or end it with SCRIPT KILL.' },
  LOADING: { code: 'E_REDIS_NOT_READY', advice: 'Wait until it has loaded its data.' },
  READONLY: replica,
  MASTERDOWN: replica,
  CLUSTERDOWN: { code: 'E_REDIS_NOT_READY', advice: 'See what its CLUSTER INFO says.' },
  TRYAGAIN: { code: 'E_REDIS_NOT_READY', advice: 'Wait until its cluster has moved the slot.' },
  MISCONF: { code: 'E_REDIS_NOT_READY', advice: 'See why it cannot save to disk.' },
  NOREPLICAS: { code: 'E_REDIS_NOT_READY', advice: 'See why its replicas are away.' },
  MOVED: clustered,
  ASK: clustered,
  CROSSSLOT: clustered,
  ERR: { code: 'E_REDIS_REFUSED', advice: 'Check the user, password and database in REDIS_URL.' },
};

/** What only the rest of a message tells. */
const byText: readonly [RegExp, Kind][] = [
  [/^ERR max number of clients/, clients],
  [/executing the script can't|o permissions to/, rights],
];

/** Returns what Redis said: of a transaction, why it refused the command that made it refuse the rest. */
function saidBy(error: unknown): string {
  const [first] = (error as { previousErrors?: unknown[] }).previousErrors ?? [];
  const root = first ?? error;
  const whole = root instanceof Error ? root.message : String(root);
  return hidePasswords(whole.slice(0, 1_000)).replace(/\.$/, '');
}

/** Makes the error of what Redis said, as ioredis makes it. */
export function answerOf(said: string): Error {
  return Object.assign(new Error(said), { name: 'ReplyError' });
}

/** Tells whether an error is what Redis answered to a command: that was not done. */
export function isAnswer(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError';
}

function kindOf(error: unknown): Kind | undefined {
  const said = saidBy(error);
  const kind = byText.find(([text]) => text.test(said))?.[1] ?? kinds[/^[A-Z]+\b/.exec(said)?.[0] ?? ''];
  return (
    kind ??
    (isAnswer(error) ? { code: 'E_REDIS_REFUSED', advice: 'See what its documentation says of that.' } : undefined)
  );
}

/** Turns what Redis said into an error of Islet's: it refused (it answered), or it is unreachable (it did not). */
export function explainRedisError(url: string, error: unknown): IsletError {
  if (error instanceof IsletError) return error;
  const said = saidBy(error);
  const kind = kindOf(error);
  const place = `Redis at ${hidePasswords(url)}`;
  if (kind) return new IsletError(kind.code, `${place} refused: ${said}. ${kind.advice}`, { cause: error });
  const message = `${place} could not be reached: ${said}. Check REDIS_URL, and that Redis runs.`;
  return new IsletError('E_REDIS_UNREACHABLE', message, { cause: error });
}

/** ioredis says this of a command that it has not sent. */
const unsent = /^Stream isn't writeable/;

/** Tells whether Redis may have done what it gave no answer to. */
export function mayBeDone(error: unknown): boolean {
  const isUnsent = error instanceof Error && unsent.test(error.message);
  return !(error instanceof IsletError) && !isAnswer(error) && !isUnsent;
}

/** The ways in which Redis refuses any command of a script, and not only its first write. */
const anyCommand = ['E_REDIS_DENIED', 'E_REDIS_REFUSED'];

/** Tells whether Redis refused a command within a script, which may have written before. */
export function isPartly(error: unknown): boolean {
  return isAnswer(error) && /\bscript:/.test(saidBy(error)) && anyCommand.includes(kindOf(error)?.code ?? '');
}

/** Tells whether Redis refused a command that it may take a moment later, as when it loads its data. */
export function isPassing(error: unknown): boolean {
  return isAnswer(error) && kindOf(error)?.code === 'E_REDIS_NOT_READY';
}

/** Tells whether Redis refuses until somebody changes a password or a right. */
export function isDenied(error: unknown): boolean {
  return kindOf(error)?.code === 'E_REDIS_DENIED';
}
