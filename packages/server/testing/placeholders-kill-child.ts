import { writeSync } from 'node:fs';
import process from 'node:process';
import { loadConfiguration } from '../src/config/load.ts';
import { createLog } from '../src/operation/log.ts';
import { startServer } from '../src/start.ts';

/**
 * A server that kills itself while it is asked about placeholders: `node placeholders-kill-child.ts VERBS COMMAND COUNT WHEN`. At
 * the COUNT-th COMMAND of the store, WHEN it was `sent` and is under way, or `answered`. Its settings, the token to ask with and
 * the configurations to ask about are in the environment.
 */
const [verbs = '', command = '', count = '', when = ''] = process.argv.slice(2);
const server = await startServer({
  configuration: loadConfiguration({ variables: process.env, workingDirectory: process.cwd() }),
  log: createLog('error', { write: (line: string) => writeSync(2, line) }),
});

function die(): void {
  process.kill(process.pid, 'SIGKILL');
}

let left = Number(count);
const execute = server.store.execute.bind(server.store) as (...all: unknown[]) => Promise<unknown>;
Object.defineProperty(server.store, 'execute', {
  value: async (name: string, ...rest: unknown[]): Promise<unknown> => {
    if (name === command) left -= 1;
    const isReached = name === command && left === 0;
    // Two turns of the event loop: the batch is with the writer thread.
    if (isReached && when === 'sent') setImmediate(() => setImmediate(die));
    const answer = await execute(name, ...rest);
    if (isReached && when === 'answered') die();
    return answer;
  },
});
const configurations = JSON.parse(process.env['KILL_CONFIGURATIONS'] ?? '[]') as object[];
for (const verb of verbs.split(',')) {
  const body = { configurations, ...(verb === 'migrate' ? { createSecrets: true } : {}) };
  await fetch(`${server.url}/v1/domains/finance/placeholders/${verb}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${process.env['KILL_TOKEN']}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}
// Not reached: the parent wants to see a signal.
process.exit(1);
