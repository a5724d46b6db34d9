// Against HashiCorp Vault on the same machine, in interleaved rounds: a managed secret resolved with durable audit, and a read
// through us, each as a share of what Vault does when it is asked straight, with its file audit device on.
import { isMissing } from '../servers/live-server.ts';
import type { Vault } from '../servers/vault-server.ts';
import { startVault, vault } from '../servers/vault.ts';
import { type Load, load, requestBytes } from './load.ts';
import {
  deliveryKey,
  domain,
  type MeasuredServer,
  type MeasuredStrongroom,
  processorMilliseconds,
  startMeasured,
  startStrongroom,
} from './measured-server.ts';
import { median } from './report.ts';
import type { BenchRow } from './row.ts';

const rounds = 7;
const roundMilliseconds = 2000;
const warmUpRounds = 4;
const connections = 32;
const value = 'a-password-of-some-length';
/**
 * Each connection reads a secret of its own; and, apart, all the same one, as when a job starts many workers at a time: their
 * reads are joined, and Vault is asked less often.
 */
const keys = Array.from({ length: connections }, (_, index) => `db-password-${index}`);

const targets = ['straight', 'managed', 'managedSame', 'through', 'throughSame', 'relay'] as const;
type Target = (typeof targets)[number];

interface Round extends Load {
  /** Milliseconds of processor time a request took, of the server that was asked and of Vault. */
  readonly asked: number;
  readonly vaults: number;
}

/** No rows, and a line about why, where Vault can't be had. */
export async function run(): Promise<BenchRow[]> {
  const installation = await vault.install((line) => console.error(line));
  if (isMissing(installation)) {
    console.error(`Not measured: no Vault: ${installation.reason}. To have it: ${installation.install}`);
    return [];
  }
  const server = await startVault();
  try {
    const strongroom = await startStrongroom();
    try {
      const relay = await startMeasured('relay', { RELAYED_VAULT_PORT: new URL(server.url).port });
      try {
        return await compare(strongroom, relay, server);
      } finally {
        await relay.end();
      }
    } finally {
      await strongroom.end();
    }
  } finally {
    await server.stop();
  }
}

async function compare(strongroom: MeasuredStrongroom, relay: MeasuredServer, server: Vault): Promise<BenchRow[]> {
  const token = await prepare(strongroom, server);
  const straight = keys.map((key) => requestBytes('GET', `/v1/secret/data/bench/${key}`, { 'X-Vault-Token': token }));
  const through = keys.map((key) => `secret://domain/vault/${key}`);
  const managed = keys.map((key) => `secret://domain/managed/${key}`);
  const references = {
    managed,
    managedSame: managed.slice(0, 1),
    through,
    throughSame: through.slice(0, 1),
  };
  const relayed = keys.map((key) =>
    requestBytes('POST', `/v1/launches/${key}`, { Authorization: `Bearer ${token}` }, deliveryKey),
  );
  const fixed = { straight, relay: relayed };
  const asked = { straight: { pid: server.pid, port: Number(new URL(server.url).port) }, relay };

  const once = async (target: Target): Promise<Round> => {
    // A launch is answered again for a minute only, so each round has launches of its own.
    const isFixed = target === 'straight' || target === 'relay';
    const requests = isFixed ? fixed[target] : await Promise.all(references[target].map(strongroom.resolveOf));
    const { pid, port } = isFixed ? asked[target] : strongroom;
    const before = [processorMilliseconds(pid), processorMilliseconds(server.pid)] as const;
    const done = await load({ port, requests, connections, milliseconds: roundMilliseconds });
    return {
      ...done,
      asked: (processorMilliseconds(pid) - before[0]) / done.answers,
      vaults: (processorMilliseconds(server.pid) - before[1]) / done.answers,
    };
  };

  for (let round = 0; round < warmUpRounds; round += 1) for (const target of targets) await once(target);
  const taken: Record<Target, Round>[] = [];
  for (let round = 0; round < rounds; round += 1)
    taken.push({
      straight: await once('straight'),
      managed: await once('managed'),
      managedSame: await once('managedSame'),
      through: await once('through'),
      throughSame: await once('throughSame'),
      relay: await once('relay'),
    });
  return rowsOf(taken);
}

/** The same values in both; answers the token that both ways read Vault with. */
async function prepare({ admin }: MeasuredStrongroom, server: Vault): Promise<string> {
  const policy = { policy: 'path "secret/data/bench/*" { capabilities = ["read"] }' };
  await server.request('PUT', 'sys/policies/acl/bench', policy);
  const made = await server.request<{ auth: { client_token: string } }>('POST', 'auth/token/create', {
    policies: ['bench'],
    ttl: '1h',
  });
  const token = made.body.auth.client_token;
  for (const key of keys) {
    await server.request('POST', `secret/data/bench/${key}`, { data: { value } });
    await admin.createDomainSecret({ params: { domain }, body: { key, value } });
  }
  await admin.createDomainIntegration({
    params: { domain },
    body: {
      name: 'vault',
      type: 'VAULT',
      settings: { address: server.url, path: '/v1/secret/data/bench', authentication: { method: 'token' } },
      credentials: { token },
    },
  });
  return token;
}

function rowsOf(taken: readonly Readonly<Record<Target, Round>>[]): BenchRow[] {
  const of = (target: Target, what: keyof Round): number => median(taken.map((round) => round[target][what]));
  const ratio = (target: Target): number =>
    median(taken.map((round) => round[target].requestsPerSecond / round.straight.requestsPerSecond));
  const [p99, vaultP99] = [of('managed', 'p99Milliseconds'), of('straight', 'p99Milliseconds')];
  const told = (name: string, number: number, unit: string): BenchRow => ({
    name,
    value: number,
    unit,
    goal: '',
    met: true,
  });
  const share = (name: string, target: Target, goal: number): BenchRow => {
    const value = ratio(target);
    return { name, value, unit: 'ratio', goal: `≥ ${goal}`, met: value >= goal };
  };
  return [
    share('resolve of one managed secret, durable audit ÷ the same from Vault, file audit', 'managed', 3),
    { name: 'its p99', value: p99, unit: 'ms', goal: `≤ ${vaultP99.toFixed(2)}, Vault’s`, met: p99 <= vaultP99 },
    share('the same, all resolving one secret', 'managedSame', 3),
    share('read through Strongroom from Vault ÷ straight from Vault', 'through', 0.7),
    share('the same, all reading one secret', 'throughSame', 0.7),
    told('a bare relay (durable-floor.ts) ÷ straight from Vault', ratio('relay'), 'ratio'),
    told('p99 of a read through Strongroom', of('through', 'p99Milliseconds'), 'ms'),
    told('Vault', of('straight', 'requestsPerSecond'), 'requests/s'),
    told('processor time of Vault, a read', of('straight', 'vaults'), 'ms'),
    told('processor time of ours, a managed resolve', of('managed', 'asked'), 'ms'),
    told('processor time of ours, a read from Vault', of('through', 'asked'), 'ms'),
    told('processor time of Vault, a read through ours', of('through', 'vaults'), 'ms'),
    told('processor time of the bare relay, a read from Vault', of('relay', 'asked'), 'ms'),
    told('processor time of Vault, a read through the bare relay', of('relay', 'vaults'), 'ms'),
  ];
}
