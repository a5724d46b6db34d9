import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StrongroomError } from '@strongroom/contract/core';

/** A connection to where the tunnel leads, by the egress guard. */
export type Connect = (signal: AbortSignal) => Promise<Socket>;

/**
 * grpc-js looks names up and opens sockets by itself, past any guard. So it is given a socket in a private folder of this
 * machine, and what comes in there goes on over a connection of the egress guard, its proxy too. TLS is between grpc-js and
 * Google: nothing readable passes here.
 */
export class Tunnel {
  readonly #server: Server;
  readonly #folder: string;
  readonly #connect: Connect;
  readonly #sockets = new Set<Socket>();
  #failure: StrongroomError | null = null;
  #heardAt = performance.now();

  private constructor(server: Server, folder: string, connect: Connect) {
    this.#server = server;
    this.#folder = folder;
    this.#connect = connect;
    server.on('connection', (socket) => void this.#carry(socket));
  }

  /** @throws StrongroomError `internal` when the temporary folder is not fit for it */
  static async open(connect: Connect): Promise<Tunnel> {
    const server = createServer({ pauseOnConnect: true });
    let folder: string | undefined;
    try {
      // Readable by nobody else (mkdtemp(3)).
      folder = await mkdtemp(join(tmpdir(), 'strongroom-'));
      const tunnel = new Tunnel(server, folder, connect);
      server.listen(tunnel.path);
      await once(server, 'listening');
      server.unref();
      return tunnel;
    } catch {
      if (folder !== undefined) await rm(folder, { recursive: true, force: true });
      throw new StrongroomError('internal', {
        detail: 'The server could not make a socket for its connections to Google.',
        hint: 'Its temporary folder (TMPDIR) has to be writable, and its path shorter than 80 characters.',
      });
    }
  }

  /** Where grpc-js connects to. */
  get path(): string {
    return join(this.#folder, 'grpc');
  }

  /** Why the last connection did not come about; `null` when it did. */
  get failure(): StrongroomError | null {
    return this.#failure;
  }

  /** When something came from the other side; of `performance.now()`. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** Ends the connections. The next call has a new one. */
  drop(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.#server.close();
    this.drop();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #carry(near: Socket): Promise<void> {
    this.#track(near);
    const gone = new AbortController();
    near.once('close', () => gone.abort());
    let far: Socket;
    try {
      far = await this.#connect(gone.signal);
      this.#failure = null;
    } catch (error) {
      if (!gone.signal.aborted) this.#failure = error instanceof StrongroomError ? error : internal();
      near.destroy();
      return;
    }
    this.#track(far);
    near.once('close', () => far.destroy());
    far.once('close', () => near.destroy());
    far.on('data', () => {
      this.#heardAt = performance.now();
    });
    if (near.destroyed) far.destroy();
    else far.pipe(near).pipe(far);
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    // What broke off is grpc-js's to say, by the connection that closes with it.
    socket.on('error', () => socket.destroy());
  }
}

function internal(): StrongroomError {
  return new StrongroomError('internal', { detail: 'A connection to Google could not be made.' });
}
