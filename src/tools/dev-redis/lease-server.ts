import { timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { Lease } from './state.ts';

/** How long to wait for the first lease; without one, the process that asked for Redis has died. */
const FIRST_LEASE_MS = 15_000;
/** How long Redis stays after the last lease, for a process that restarts or for the next test file. */
const LINGER_MS = 1_500;
/** How long a caller has to say its token; one that does not is not ours. */
const TOKEN_MS = 5_000;

/** Counts the processes that use Redis: each holds one connection, which the system closes even after a SIGKILL. */
export class LeaseServer {
  readonly #server: Server;
  readonly #leases = new Set<Socket>();
  readonly #token: Buffer;
  readonly #onUnused: () => void;
  #timer: NodeJS.Timeout | undefined;
  #lease: Lease | undefined;

  constructor(token: string, onUnused: () => void) {
    this.#token = Buffer.from(token);
    this.#onUnused = onUnused;
    this.#server = createServer((socket) => this.#meet(socket));
  }

  /** Listens on a loopback port chosen by the system, and returns it. */
  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Answers all who wait, and all who come from now on. From here on, an unused Redis is stopped. */
  open(lease: Lease): void {
    this.#lease = lease;
    for (const socket of this.#leases) this.#answer(socket);
    if (this.#leases.size === 0) this.#countDown(FIRST_LEASE_MS);
  }

  /** Refuses new leases and ends the ones there are. */
  close(): void {
    clearTimeout(this.#timer);
    this.#server.close();
    for (const socket of this.#leases) socket.destroy();
  }

  #meet(socket: Socket): void {
    let said = '';
    socket.setTimeout(TOKEN_MS, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#leave(socket));
    socket.on('data', (data) => {
      if (this.#leases.has(socket)) return;
      said += data.toString();
      if (said.length > 1_000) socket.destroy();
      else if (said.endsWith('\n')) this.#admit(socket, said.trim());
    });
  }

  #admit(socket: Socket, said: string): void {
    const token = Buffer.from(said);
    if (token.length !== this.#token.length || !timingSafeEqual(token, this.#token)) {
      socket.destroy();
      return;
    }
    socket.setTimeout(0);
    clearTimeout(this.#timer);
    this.#leases.add(socket);
    if (this.#lease !== undefined) this.#answer(socket);
  }

  #answer(socket: Socket): void {
    socket.write(`${JSON.stringify(this.#lease)}\n`);
  }

  #leave(socket: Socket): void {
    if (!this.#leases.delete(socket) || this.#leases.size > 0 || this.#lease === undefined) return;
    this.#countDown(LINGER_MS);
  }

  #countDown(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#leases.size === 0) this.#onUnused();
    }, ms);
  }
}
