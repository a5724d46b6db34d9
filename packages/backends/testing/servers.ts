import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';

export interface RawServer extends AsyncDisposable {
  readonly port: number;
  /** Connections so far. */
  readonly connections: () => number;
  /** What came in, over all connections. */
  readonly received: () => string;
}

/** A TCP server on loopback that counts its connections and does with each what it is told. */
export async function startRawServer(
  serve: (socket: Socket) => void = () => undefined,
  host = '127.0.0.1',
  port = 0,
): Promise<RawServer> {
  const open = new Set<Socket>();
  let count = 0;
  let received = '';
  const server = createServer((socket) => {
    count += 1;
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    // The other side breaks off on purpose.
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes) => {
      received += bytes.toString('latin1');
    });
    serve(socket);
  });
  server.listen(port, host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => count,
    received: () => received,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
