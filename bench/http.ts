// Requests a second, as a share of what plain `node:http` does on the same machine, in interleaved rounds.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createToken } from '@strongroom/crypto';
import { createClient } from '@strongroom/sdk';
import { load, requestBytes } from './load.ts';
import { median } from './report.ts';
import type { BenchRow } from './row.ts';

const rounds = 5;
const roundMilliseconds = 2000;
const warmUpRounds = 4;
const connections = 32;
const domain = 'bench';

interface Measured {
  readonly port: number;
  end(): Promise<void>;
}

async function startPlain(
  kind: 'raw' | 'strongroom',
  environment: Readonly<Record<string, string>>,
): Promise<Measured> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('plain-servers.ts', import.meta.url)), kind], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'], HOME: tmpdir(), ...environment },
  });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const port = await new Promise<number>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`The ${kind} server ended with ${code}`)));
    child.stdout.on('data', (chunk: Buffer) => {
      const line = /\{"port":\d+\}/.exec(chunk.toString('utf8'))?.[0];
      if (line !== undefined) resolve((JSON.parse(line) as { port: number }).port);
    });
  });
  return {
    port,
    async end() {
      child.stdin.end();
      await gone;
    },
  };
}

/** A service account with one launch of one secret; answers the request that resolves it. */
async function prepare(
  port: number,
  adminToken: string,
): Promise<{ readonly metadata: Buffer; readonly resolve: Buffer; readonly token: string }> {
  const url = `http://127.0.0.1:${port}`;
  const admin = createClient({ url, token: adminToken });
  await admin.createDomain({ body: { name: domain } });
  await admin.createDomainSecret({
    params: { domain },
    body: { key: 'db-password', value: 'a-password-of-some-length', description: 'reporting database' },
  });
  const account = await admin.createDomainServiceAccount({ params: { domain }, body: { name: 'workload' } });
  const { token } = await admin.issueDomainToken({
    params: { domain, serviceAccount: account.id },
    body: { description: 'bench' },
  });
  const principal = `service-account:${domain}/workload`;
  await admin.putMember({ params: { domain, principal }, body: { preset: 'MEMBER' } });
  await admin.addGrant({ params: { domain }, body: { principal, permission: 'RESOLVE' } });
  const launch = await createClient({ url, token }).createLaunch({
    params: { domain },
    body: { references: [{ name: 'PGPASSWORD', reference: 'secret://domain/managed/db-password' }] },
  });
  const headers = { Authorization: `Bearer ${token}` };
  const key = JSON.stringify({
    publicKey: { kty: 'OKP', crv: 'X25519', x: Buffer.alloc(32, 9).toString('base64url') },
  });
  return {
    token,
    metadata: requestBytes('GET', `/v1/domains/${domain}/secrets/db-password`, headers),
    resolve: requestBytes('POST', `/v1/launches/${launch.id}/resolve`, headers, key),
  };
}

export async function run(): Promise<BenchRow[]> {
  const directory = mkdtempSync(join(tmpdir(), 'strongroom-bench-'));
  const adminToken = createToken('srt_');
  writeFileSync(join(directory, 'token'), adminToken, { mode: 0o600 });
  const raw = await startPlain('raw', {});
  const ours = await startPlain('strongroom', {
    STRONGROOM_DATA_DIR: join(directory, 'data'),
    STRONGROOM_LISTEN: '127.0.0.1:0',
    STRONGROOM_BOOTSTRAP_TOKEN_FILE: join(directory, 'token'),
    STRONGROOM_LIMITS_REQUESTS_PER_MINUTE: '100000000',
    STRONGROOM_LIMITS_LAUNCHES_PER_MINUTE: '1000000',
  });
  try {
    const plain = requestBytes('GET', '/v1/domains/bench/secrets/db-password', { Authorization: 'Bearer x' });
    const { metadata, resolve } = await prepare(ours.port, adminToken);
    const once = async (port: number, request: Buffer) =>
      load({ port, request, connections, milliseconds: roundMilliseconds });
    // A server runs for days: what is measured is the code that the runtime has optimised by then.
    await once(raw.port, plain);
    for (let round = 0; round < warmUpRounds; round += 1) {
      await once(ours.port, metadata);
      await once(ours.port, resolve);
    }
    const ratios = { metadata: [] as number[], resolve: [] as number[] };
    const rates = { raw: [] as number[], metadata: [] as number[], resolve: [] as number[] };
    for (let round = 0; round < rounds; round += 1) {
      const base = await once(raw.port, plain);
      const get = await once(ours.port, metadata);
      const resolved = await once(ours.port, resolve);
      rates.raw.push(base);
      rates.metadata.push(get);
      rates.resolve.push(resolved);
      ratios.metadata.push(get / base);
      ratios.resolve.push(resolved / base);
    }
    const get = median(ratios.metadata);
    const resolved = median(ratios.resolve);
    return [
      { name: 'metadata GET ÷ raw node:http', value: get, unit: 'ratio', goal: '≥ 0.60', met: get >= 0.6 },
      {
        name: 'resolve of one managed secret, durable audit ÷ raw node:http',
        value: resolved,
        unit: 'ratio',
        goal: '≥ 0.25',
        met: resolved >= 0.25,
      },
      { name: 'raw node:http', value: median(rates.raw), unit: 'requests/s', goal: '', met: true },
      { name: 'metadata GET', value: median(rates.metadata), unit: 'requests/s', goal: '', met: true },
      { name: 'resolve', value: median(rates.resolve), unit: 'requests/s', goal: '', met: true },
    ];
  } finally {
    await ours.end();
    await raw.end();
    rmSync(directory, { recursive: true, force: true });
  }
}
