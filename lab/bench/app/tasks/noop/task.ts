import { implement } from 'islet/task';
import manifest from './manifest.ts';

export default implement(manifest, async () => {});
