import { implement } from 'islet/task';
import { callApi } from '../call/call-api.ts';
import manifest from './manifest.ts';

export default implement(manifest, async ({ url }) => {
  await callApi(url);
});
