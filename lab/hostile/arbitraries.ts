import fc from 'fast-check';
import {
  acts,
  breakable,
  errorTypes,
  type HostilePayload,
  oddNames,
  type Recipe,
  secretMark,
  type TextPiece,
  textPieces,
  traps,
} from './recipe.ts';

const pieces = Object.keys(textPieces) as TextPiece[];
const record = <T>(fields: { [Key in keyof T]: fc.Arbitrary<T[Key]> }) =>
  fc.record<T>(fields, { noNullPrototype: true });
const oneOf = <T>(values: readonly T[]) => fc.constantFrom(...values);

/** Most texts are short; one that takes a second at 100 KB is found all the same. */
const length = fc.oneof(
  { arbitrary: fc.nat(60), weight: 30 },
  { arbitrary: fc.nat(5_000), weight: 3 },
  { arbitrary: fc.nat(120_000), weight: 1 },
);
const levels = fc.oneof({ arbitrary: fc.nat(40), weight: 6 }, { arbitrary: fc.nat(8_000), weight: 1 });

/** Keys that some code gives a meaning of its own, beside any others. */
export const key = fc.oneof(
  { arbitrary: fc.string({ maxLength: 8, unit: 'binary' }), weight: 2 },
  {
    arbitrary: oneOf([
      '__proto__',
      'constructor',
      'then',
      'toJSON',
      'message',
      'code',
      'detail',
      'cause',
      'length',
      '',
    ]),
    weight: 3,
  },
);

const { recipe } = fc.letrec<{ recipe: Recipe; fields: [string, Recipe][] }>((tie) => {
  const fields = fc.array(fc.tuple(key, tie('recipe')), { maxLength: 3 });
  const error = record({
    is: fc.constant('error' as const),
    type: oneOf(errorTypes),
    message: tie('recipe'),
    fields,
    breaks: fc.subarray([...breakable], { maxLength: 2 }),
  });
  return {
    fields,
    recipe: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      { arbitrary: record({ is: fc.constant('json' as const), value: fc.jsonValue({ maxDepth: 2 }) }), weight: 4 },
      { arbitrary: record({ is: fc.constant('odd' as const), name: oneOf(oddNames) }), weight: 6 },
      { arbitrary: record({ is: fc.constant('text' as const), piece: oneOf(pieces), length }), weight: 2 },
      {
        arbitrary: record({
          is: fc.constant('secret' as const),
          field: oneOf(['token', 'email', 'card'] as const),
          in: oneOf(['text', 'json', 'url', 'itself'] as const),
        }),
        weight: 3,
      },
      {
        arbitrary: record({
          is: fc.constant('password' as const),
          scheme: oneOf(['redis', 'rediss', 'postgres', 'https', 'amqp+tls']),
        }),
        weight: 1,
      },
      { arbitrary: error, weight: 8 },
      {
        arbitrary: record({ is: fc.constant('object' as const), fields: tie('fields'), getters: fc.boolean() }),
        weight: 3,
      },
      {
        arbitrary: record({
          is: fc.constant('list' as const),
          items: fc.array(tie('recipe'), { maxLength: 3 }),
          hole: fc.boolean(),
        }),
        weight: 3,
      },
      {
        arbitrary: record({
          is: fc.constant('proxy' as const),
          of: tie('recipe'),
          traps: fc.subarray([...traps], { minLength: 1 }),
        }),
        weight: 2,
      },
      {
        arbitrary: record({
          is: fc.constant('deep' as const),
          levels,
          in: oneOf(['lists', 'objects', 'causes'] as const),
        }),
        weight: 1,
      },
    ),
  };
});

/** Random values of every kind, as recipes. */
export const recipes: fc.Arbitrary<Recipe> = recipe;

/** Characters of every kind, also those that JSON, a URL or UTF-8 write in another way, or not at all. */
export const character = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  oneOf(['\ud800', '\udfff', '\0', '"', '\\', '/', '@', ':', '%', '$&', ' ', '\n', '{', '}']),
);

const secret = fc.string({ maxLength: 12, unit: character }).map((text) => secretMark + text);

/** Random payloads of hostile jobs: what to make, what to do with it, and what to keep to themselves. */
export const hostilePayloads: fc.Arbitrary<HostilePayload> = record({
  act: fc.oneof(
    { arbitrary: oneOf(['throw', 'throw later'] as const), weight: 4 },
    { arbitrary: oneOf(acts), weight: 3 },
  ),
  recipe: recipes,
  token: secret,
  user: record({ email: secret }),
  items: fc.array(record({ card: secret }), { minLength: 1, maxLength: 2 }),
});
