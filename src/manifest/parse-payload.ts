import type { StandardSchemaV1 } from '@standard-schema/spec';
import { IsletError } from '../errors.ts';
import { describe } from './check-options.ts';
import type { AnyTask, PayloadOutput } from './define-task.ts';

const keyOf = (segment: PropertyKey | StandardSchemaV1.PathSegment): PropertyKey =>
  typeof segment === 'object' ? segment.key : segment;

function valueAt(root: unknown, path: PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key], root);
}

/** Says an issue as path, what the schema expected and what it got; never the value of a redacted field. */
function explain(issue: StandardSchemaV1.Issue, value: unknown, redact: readonly string[]): string {
  const path = (issue.path ?? []).map(keyOf);
  const where = path.length > 0 ? `\`${path.map(String).join('.')}\`` : 'the value';
  if (redact.length > 0 && (path.length === 0 || redact.includes(String(path[0])))) {
    const got = valueAt(value, path);
    const length = typeof got === 'string' ? ` of length ${got.length}` : '';
    return `${where} is not valid, got a ${got === null ? 'null' : typeof got}${length} (redacted)`;
  }
  return `${where}: ${issue.message}, got ${describe(valueAt(value, path))}`;
}

async function parse(schema: StandardSchemaV1, value: unknown, redact: readonly string[]) {
  const outcome = await schema['~standard'].validate(value);
  if (!outcome.issues) return { value: outcome.value };
  const shown = outcome.issues.slice(0, 5).map((issue) => explain(issue, value, redact));
  const more = outcome.issues.length > 5 ? `; and ${outcome.issues.length - 5} more` : '';
  return { problem: shown.join('; ') + more };
}

/** Parses a payload into what the task sees. Throws `E_PAYLOAD_INVALID` with path, expected and got. */
export async function parsePayload<M extends AnyTask>(
  manifest: M,
  payload: unknown,
  fate = 'Nothing was enqueued.',
): Promise<PayloadOutput<M>> {
  const outcome = await parse(manifest.payload, payload, manifest.redact);
  if ('value' in outcome) return outcome.value as PayloadOutput<M>;
  throw new IsletError(
    'E_PAYLOAD_INVALID',
    `Task "${manifest.name}" (queue "${manifest.queue}") refused its payload: ${outcome.problem}. ${fate} ` +
      `Fix the caller, or the schema in tasks/${manifest.name}/manifest.ts.`,
  );
}

/** Checks a result against the manifest's schema, if it has one. Throws `E_RESULT_INVALID`. */
export async function parseResult(manifest: AnyTask, result: unknown): Promise<unknown> {
  if (!manifest.result) return result;
  const outcome = await parse(manifest.result, result, []);
  if ('value' in outcome) return outcome.value;
  throw new IsletError(
    'E_RESULT_INVALID',
    `Task "${manifest.name}" returned a result that its manifest refuses: ${outcome.problem}. ` +
      `Fix tasks/${manifest.name}/task.ts, or \`result\` in its manifest.`,
  );
}
