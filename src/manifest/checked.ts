declare const reason: unique symbol;

/** The type of what may not be given. No value has it, so that the compiler's message says why. */
export interface Refused<Why extends string> {
  readonly [reason]: Why;
}

/**
 * The type of a parameter of which TypeScript shall infer the exact type, and yet compare it with `Allowed`: it is
 * `Allowed`, always, and `Given` stands in it for the inference only. With `Given` itself as the parameter's type,
 * options that do not exist would be inferred, not refused.
 */
export type Checked<Given, Allowed> = [Given] extends [never] ? Given : Allowed;
