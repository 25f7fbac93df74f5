import type { Producer } from 'islet/producer';
import { sendEmail } from '../app.ts';

export async function send(producer: Producer) {
  const job = await producer.enqueue(sendEmail, { to: 'a@example.com', subject: 'Hello' });
  // TS2339: Property 'result' does not exist on type 'JobHandle'.
  return job.result();
}
