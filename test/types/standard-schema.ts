// A Standard Schema made by hand, without a library.
import type { StandardSchemaV1 } from '@standard-schema/spec';

/** A schema that takes centimetres as text, and gives metres. */
export const measured: StandardSchemaV1<{ centimetres: string }, { metres: number }> = {
  '~standard': {
    version: 1,
    vendor: 'by-hand',
    validate(value) {
      const centimetres = Number((value as { centimetres?: unknown } | null)?.centimetres);
      if (Number.isNaN(centimetres)) return { issues: [{ message: 'must be centimetres', path: ['centimetres'] }] };
      return { value: { metres: centimetres / 100 } };
    },
  },
};
