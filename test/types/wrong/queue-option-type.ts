import { defineQueue } from 'islet';

// TS2322: Type 'string' is not assignable to type 'number'.
export default defineQueue({ name: 'images', lockDurationMs: '30s' });
