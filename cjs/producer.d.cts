import type * as entry from '../dist/src/producer.js' with { 'resolution-mode': 'import' };

export type * from '../dist/src/producer.js' with { 'resolution-mode': 'import' };
export declare const bullmqQueue: typeof entry.bullmqQueue;
export declare const createProducer: typeof entry.createProducer;
