declare const reason: unique symbol;

/** The type of an option that may not be given. No value has it, so that the compiler's message says why. */
export interface Refused<Why extends string> {
  readonly [reason]: Why;
}

/**
 * The type of a parameter whose exact type TypeScript infers as `Given`, and yet compares with `Allowed`. The type is always
 * `Allowed`; with `Given` itself, options that do not exist would be inferred, not refused.
 */
export type Checked<Given, Allowed> = [Given] extends [never] ? Given : Allowed;
