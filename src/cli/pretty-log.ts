import pretty from 'pino-pretty';

type Fields = Record<string, unknown>;

/** Fields that stand elsewhere in the line, or that nobody needs in development. */
const hidden = new Set(['level', 'time', 'pid', 'msg', 'queue', 'task', 'jobId', 'attempt']);

function showRest(fields: Fields): string {
  const rest = Object.entries(fields).filter(([name, value]) => !hidden.has(name) && value !== undefined);
  return rest.map(([name, value]) => ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`).join('');
}

/** Shows the end of a job as a sentence: `send-welcome completed in 12 ms`. */
function showEnd({ task, outcome, durationMs, attempt, jobId, code, error }: Fields): string {
  const which = attempt === 1 ? `job ${jobId}` : `job ${jobId}, attempt ${attempt}`;
  const why = error === undefined ? '' : `: ${code} ${error}`;
  return `${task} ${outcome} in ${durationMs} ms (${which})${why}`;
}

/** Shows one line of a worker's log, without time and level. */
function describeLine(fields: Fields): string {
  if (fields.msg === 'Job finished') return showEnd(fields);
  const of = fields.task === undefined ? '' : `${fields.task}, job ${fields.jobId}: `;
  return `${of}${fields.msg}${showRest(fields)}`;
}

/** Creates what writes workers' logs for people, on standard output. */
export function createPrettyLog(): pretty.PrettyStream {
  return pretty({
    colorize: process.stdout.isTTY === true,
    hideObject: true,
    ignore: 'pid,hostname',
    translateTime: 'SYS:HH:MM:ss',
    messageFormat: (fields) => describeLine(fields),
    sync: true,
  });
}
