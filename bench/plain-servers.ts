// A process of its own for each server that is measured: `node bench/plain-servers.ts raw|floor|relay|strongroom`. Prints one
// JSON line with the port when it listens, ends with its standard input.
import { createServer } from 'node:http';
import { createLog, loadConfiguration, processEnvironment, startServer } from '@strongroom/server';
import { startFloor, startRelay } from './durable-floor.ts';

async function raw(): Promise<number> {
  // As large as a secret's metadata.
  const body = JSON.stringify({ text: 'x'.repeat(900) });
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
      response.end(body);
    });
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}

/** The real server, with sealing left out: what is measured is the sign-in, the decision, the decryption and the audit. */
async function strongroom(): Promise<number> {
  const server = await startServer({
    configuration: loadConfiguration(processEnvironment(), {}),
    log: createLog('error'),
    sealer: {
      recipient: () => ({
        thumbprint: 'bench',
        seal: (_launch, payload) => Buffer.from(payload).toString('base64url'),
      }),
    },
  });
  process.stdin.on('end', () => void server.stop().then(() => process.exit(0)));
  return Number(new URL(server.url).port);
}

const servers: Readonly<Record<string, () => Promise<number>>> = {
  raw,
  floor: startFloor,
  relay: startRelay,
  strongroom,
};
const start = servers[process.argv[2] ?? ''];
if (start === undefined) throw new TypeError(`One of ${Object.keys(servers).join(', ')}`);
const port = await start();
console.log(JSON.stringify({ port }));
process.stdin.resume();
if (process.argv[2] !== 'strongroom') process.stdin.on('end', () => process.exit(0));
