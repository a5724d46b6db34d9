// A launch over several backends, as a share of what their slowest round trip takes; what a storm and a failing backend are asked.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { generateKeyPairSync } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createToken } from '@strongroom/crypto';
import { limited } from '@strongroom/backends';
import { StrongroomError } from '@strongroom/contract';
import { type Client, createClient } from '@strongroom/sdk';
import { loadConfiguration } from '../packages/server/src/config/load.ts';
import { createLog } from '../packages/server/src/operation/log.ts';
import { startServer } from '../packages/server/src/start.ts';
import { type LoopbackVault, openLoopbackVault } from '../packages/server/testing/loopback-vault.ts';
import { median } from './report.ts';
import type { BenchRow } from './row.ts';

const domain = 'bench';
const references = 50;
/** A backend beside the server, one in the same region, one in another. */
const latenciesMilliseconds = [60, 100, 200] as const;
const slowest = 2;
const rounds = 9;
const warmUps = 5;

interface World {
  readonly client: Client;
  readonly vaults: readonly LoopbackVault[];
  /** Asks for keys as `vault/key`, and gives the milliseconds until they are delivered. */
  launch(keys: readonly string[]): Promise<number>;
  prepare(keys: readonly string[]): Promise<string>;
  deliver(launch: string): Promise<void>;
  close(): Promise<void>;
}

async function openWorld(): Promise<World> {
  const directory = mkdtempSync(join(tmpdir(), 'strongroom-bench-'));
  const adminToken = createToken('srt_');
  writeFileSync(join(directory, 'token'), adminToken, { mode: 0o600 });
  const secrets = Object.fromEntries(
    Array.from({ length: references }, (_, index) => [
      `app/key-${index}`,
      { value: `a value of some length ${index}` },
    ]),
  );
  const vaults = await Promise.all(Array.from({ length: 3 }, () => openLoopbackVault({ secrets })));
  const variables = {
    PATH: process.env['PATH'],
    STRONGROOM_DATA_DIR: join(directory, 'data'),
    STRONGROOM_LISTEN: '127.0.0.1:0',
    STRONGROOM_BOOTSTRAP_TOKEN_FILE: join(directory, 'token'),
    STRONGROOM_LIMITS_REQUESTS_PER_MINUTE: '100000000',
    STRONGROOM_LIMITS_LAUNCHES_PER_MINUTE: '1000000',
  };
  const server = await startServer({
    configuration: loadConfiguration({ variables, workingDirectory: directory }),
    log: createLog('error', { write: (line) => process.stderr.write(line) }),
  });
  const admin = createClient({ url: server.url, token: adminToken });
  await admin.createDomain({ body: { name: domain } });
  for (const [index, vault] of vaults.entries())
    await admin.createDomainIntegration({
      params: { domain },
      body: {
        name: `vault-${index}`,
        type: 'VAULT',
        settings: { address: vault.url, path: '/v1/secret/data/app', authentication: { method: 'token' } },
        credentials: { token: vault.token },
      },
    });
  const account = await admin.createDomainServiceAccount({ params: { domain }, body: { name: 'workload' } });
  const { token } = await admin.issueDomainToken({
    params: { domain, serviceAccount: account.id },
    body: { description: 'bench' },
  });
  const principal = `service-account:${domain}/workload`;
  await admin.putMember({ params: { domain, principal }, body: { preset: 'MEMBER' } });
  await admin.addGrant({ params: { domain }, body: { principal, permission: 'RESOLVE' } });
  const client = createClient({ url: server.url, token, timeoutMilliseconds: 60_000 });
  const { x = '' } = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' });

  const prepare = async (keys: readonly string[]): Promise<string> => {
    const asked = keys.map((key) => ({ name: key, reference: `secret://domain/${key}` }));
    return (await client.createLaunch({ params: { domain }, body: { references: asked } })).id;
  };
  const deliver = async (id: string): Promise<void> => {
    await client.resolveLaunch({ params: { id }, body: { publicKey: { kty: 'OKP', crv: 'X25519', x } } });
  };
  return {
    client,
    vaults,
    prepare,
    deliver,
    async launch(keys) {
      const id = await prepare(keys);
      const begun = performance.now();
      await deliver(id);
      return performance.now() - begun;
    },
    async close() {
      await server.stop();
      await Promise.all(vaults.map((vault) => vault.close()));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export async function run(): Promise<BenchRow[]> {
  const world = await openWorld();
  try {
    return [await manyReferences(world), await storm(world), await retries()];
  } finally {
    await world.close();
  }
}

/** Of 50 references 17, 17 and 16 go to a backend, which takes 16 at once: the slowest has the 16. */
async function manyReferences({ launch, vaults }: World): Promise<BenchRow> {
  const keys = Array.from({ length: references }, (_, index) => `vault-${index % vaults.length}/key-${index}`);
  for (let round = 0; round < warmUps; round += 1) await launch(keys);
  for (const [index, vault] of vaults.entries()) vault.delayMilliseconds = latenciesMilliseconds[index] ?? 0;
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const single = await roundTrip(vaults[slowest]);
    ratios.push((await launch(keys)) / single);
  }
  for (const vault of vaults) vault.delayMilliseconds = 0;
  const value = median(ratios);
  return {
    name: `launch of ${references} references over ${vaults.length} backends ÷ the slowest single round trip (${latenciesMilliseconds[slowest]} ms)`,
    value,
    unit: 'ratio',
    goal: '≤ 1.2',
    met: value <= 1.2,
  };
}

async function roundTrip(vault: LoopbackVault | undefined): Promise<number> {
  if (vault === undefined) throw new Error('There is no backend');
  const begun = performance.now();
  const answer = await fetch(`${vault.url}/v1/secret/data/app/key-0`, { headers: { 'x-vault-token': vault.token } });
  await answer.arrayBuffer();
  return performance.now() - begun;
}

async function storm({ prepare, deliver, vaults }: World): Promise<BenchRow> {
  const keys = Array.from({ length: 20 }, (_, index) => `vault-0/key-${index}`);
  const launches: string[] = [];
  for (let count = 0; count < 100; count += 1) launches.push(await prepare(keys));
  const [vault] = vaults;
  if (vault === undefined) throw new Error('There is no backend');
  // Longer than the launches take to arrive.
  vault.delayMilliseconds = 4000;
  const before = vault.requests.length;
  await Promise.all(launches.map(deliver));
  vault.delayMilliseconds = 0;
  const reads = vault.requests.slice(before).filter((request) => request.includes('/data/')).length;
  const value = reads / keys.length;
  return {
    name: 'backend requests for each distinct secret, 100 launches of the same 20 at once',
    value,
    unit: 'requests',
    goal: '1',
    met: value <= 1,
  };
}

/** All calls share the budget: a backend that fails every time is asked hardly more often than there are calls. */
async function retries(): Promise<BenchRow> {
  let requests = 0;
  const calls = 200;
  const fail = (): Promise<never> => {
    requests += 1;
    return Promise.reject(new StrongroomError(requests % 2 === 0 ? 'backend_throttled' : 'backend_unavailable'));
  };
  const failing = limited(
    {
      type: 'failing',
      capabilities: {
        list: false,
        put: false,
        delete: false,
        cas: false,
        versions: false,
        batch: 1,
        fields: 'native',
        limits: { valueBytes: 1024 },
      },
      get: fail,
      getMany: fail,
      check: () => Promise.resolve([]),
      list: fail,
      put: fail,
      delete: fail,
      close: () => Promise.resolve(),
    },
    { backoffMs: 1 },
  );
  const signal = AbortSignal.timeout(60_000);
  for (let count = 0; count < calls; count += 1) await Promise.allSettled([failing.get(`key-${count}`, { signal })]);
  const value = requests / calls;
  return {
    name: 'requests a call while a backend answers 429 and 5xx',
    value,
    unit: 'ratio',
    goal: '≤ 1.2',
    met: value <= 1.2,
  };
}
