import type { StandardSchemaV1 } from '@standard-schema/spec';
import { IsletError } from '../errors.ts';
import { describe } from './check-options.ts';
import type { AnyTask, PayloadOutput } from './define-task.ts';
import { redactionOf, touchesRedacted } from './redact.ts';

/** Describes an issue: path, what the schema expected, and what it got, but never the value of a redacted field. */
function explain(issue: StandardSchemaV1.Issue, value: unknown, redact: readonly string[]): string {
  const path = (issue.path ?? []).map((segment) => (typeof segment === 'object' ? segment.key : segment));
  const where = path.length > 0 ? `\`${path.map(String).join('.').slice(0, 200)}\`` : 'the value';
  const got = path.reduce<unknown>((outer, key) => (outer as Record<PropertyKey, unknown> | undefined)?.[key], value);
  if (touchesRedacted(redact, path.map(String))) {
    const length = typeof got === 'string' ? ` of length ${got.length}` : '';
    return `${where} is not valid, got a ${got === null ? 'null' : typeof got}${length} (redacted)`;
  }
  // The message of a schema may quote the value.
  return `${where}: ${issue.message.slice(0, 500)}, got ${describe(got)}`;
}

/** Hides redacted values also where the schema's own messages name them, as those of a field beside theirs may. */
function withoutSecrets(manifest: AnyTask, payload: unknown, text: string): string {
  try {
    return redactionOf(manifest, { input: payload })?.text(text) ?? text;
  } catch {
    return 'a value cannot be read';
  }
}

type Parsed = StandardSchemaV1.Result<unknown>;

function explainAll(issues: readonly StandardSchemaV1.Issue[], value: unknown, redact: readonly string[]): string {
  const shown = issues.slice(0, 5).map((issue) => explain(issue, value, redact));
  const more = issues.length > 5 ? `; and ${issues.length - 5} more` : '';
  return shown.join('; ') + more;
}

/** Parses a payload into what the task sees; into a promise where its schema is asynchronous. Throws `E_PAYLOAD_INVALID`. */
export function parsePayload<M extends AnyTask>(
  manifest: M,
  payload: unknown,
  fate = 'Nothing was enqueued.',
): PayloadOutput<M> | Promise<PayloadOutput<M>> {
  const take = (outcome: Parsed) => {
    if (!outcome.issues) return outcome.value as PayloadOutput<M>;
    const problem = withoutSecrets(manifest, payload, explainAll(outcome.issues, payload, manifest.redact));
    const seen = `Task "${manifest.name}" (queue "${manifest.queue}") refused its payload: ${problem}`;
    const advice = `Fix the caller, or the schema in tasks/${manifest.name}/manifest.ts.`;
    throw new IsletError('E_PAYLOAD_INVALID', `${seen}. ${fate} ${advice}`);
  };
  const outcome = manifest.payload['~standard'].validate(payload);
  // A promise costs a job more, and most schemas make none.
  return 'then' in outcome ? Promise.resolve(outcome).then(take) : take(outcome);
}

/** Checks a result against the manifest's schema, if it has one. Throws `E_RESULT_INVALID`, whatever the schema throws. */
export async function parseResult(manifest: AnyTask, result: unknown): Promise<unknown> {
  if (!manifest.result) return result;
  let problem: string;
  let cause: unknown;
  try {
    const said = manifest.result['~standard'].validate(result);
    const outcome = 'then' in said ? await said : said;
    if (!outcome.issues) return outcome.value;
    problem = explainAll(outcome.issues, result, []);
  } catch (thrown) {
    // The work is done: another attempt would do it twice.
    problem = 'its schema throws when it reads the result';
    cause = thrown;
  }
  const seen = `Task "${manifest.name}" returned a result that its manifest refuses: ${problem}`;
  const advice = `Fix tasks/${manifest.name}/task.ts, or \`result\` in its manifest.`;
  throw new IsletError('E_RESULT_INVALID', `${seen}. ${advice}`, { cause });
}
