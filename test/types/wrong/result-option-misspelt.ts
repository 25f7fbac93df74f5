import type { Producer } from 'islet/producer';
import { report } from '../app.ts';

export async function make(producer: Producer) {
  const job = await producer.enqueue(report, { day: '2026-01-01' });
  // TS2339: Property 'page' does not exist on type '{ pages: number; }'.
  // TS2561: Object literal may only specify known properties, but 'timeout' does not exist in type 'ResultOptions'. Did you mean to write 'timeoutMs'?
  const { page } = await job.result({ timeout: 5_000 });
  return page;
}
