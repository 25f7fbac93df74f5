import { implement } from 'islet/task';
import manifest from './manifest.ts';

export default implement(manifest, ({ ms }) => {
  const endAt = performance.now() + ms;
  while (performance.now() < endAt);
});
