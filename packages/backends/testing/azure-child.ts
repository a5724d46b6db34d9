// Reads a secret of the double by the workload identity of this process, whose environment a test chooses, and prints how that ended.
import { inspect } from 'node:util';
import { StrongroomError } from '@strongroom/contract/core';
import { openAzure } from '../src/azure/open.ts';
import { createEgress } from '../src/egress/index.ts';

const [port = '', clientId = '', key = ''] = process.argv.slice(2);
const egress = createEgress({ allow: [], allowLoopback: true });
const backend = openAzure(
  { vaultUrl: `https://vault.localhost:${port}`, authentication: { method: 'workload-identity', clientId } },
  {
    egress,
    credential: () => Promise.reject(new Error('A profile lends the identity')),
    lent: { externalId: 'strongroom-1' },
    now: Date.now,
  },
  { authority: `https://login.localhost:${port}`, vaultSuffix: '.localhost' },
);
try {
  const entry = await backend.get(key, { signal: AbortSignal.timeout(60_000) });
  process.stdout.write(JSON.stringify({ value: entry?.value.revealText() ?? null }));
} catch (error) {
  if (!(error instanceof StrongroomError)) throw error;
  process.stdout.write(JSON.stringify({ code: error.code, shown: inspect(error, { depth: 10, showHidden: true }) }));
}
await backend.close();
await egress.close();
