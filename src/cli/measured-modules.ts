import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const ending = extname(import.meta.url);

/** The modules that `islet check` and `islet footprint` import before an app's own code, in processes of their own. */
export const measuredModules = {
  /** All of Islet that a worker's process loads. */
  islet: join(here, `loaded-worker${ending}`),
  /** All of Islet that a process of a pool loads. */
  unit: join(here, `run-unit${ending}`),
};
