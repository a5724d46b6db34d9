import { writeSync } from 'node:fs';
import process from 'node:process';
import { loadConfiguration } from '../src/config/load.ts';
import { createLog } from '../src/operation/log.ts';
import { startServer } from '../src/start.ts';
import { withLease } from '../src/store/leases.ts';

/**
 * A server that tells what is due as if it were another time: `node notices-kill-child.ts NOW`, in milliseconds since 1970; its
 * settings are in the environment. Whoever started it kills it.
 */
const [now = ''] = process.argv.slice(2);
const server = await startServer({
  configuration: loadConfiguration({ variables: process.env, workingDirectory: process.cwd() }),
  log: createLog('error', { write: (line: string) => writeSync(2, line) }),
});
await withLease(server.store, 'job.send-notices', 'child', 2000, (lease) =>
  server.services.noticeSender.round(lease, Number(now)),
);
await server.stop();
