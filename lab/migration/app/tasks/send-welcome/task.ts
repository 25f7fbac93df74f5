import { implement } from 'islet/task';
import { sendWelcome } from '../../../send-welcome.ts';
import manifest from './manifest.ts';

export default implement(manifest, (payload, { jobId, attempt }) =>
  sendWelcome(payload, { jobId, attempt, by: 'islet' }),
);
