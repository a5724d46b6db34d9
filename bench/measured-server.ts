import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createToken } from '@strongroom/crypto';
import { type Client, createClient } from '@strongroom/sdk';
import { serverEnvironment, serverOptions } from '../scripts/server-options.mjs';
import { requestBytes } from './load.ts';

export const domain = 'bench';
/** What a resolve is sent: whom its values are for. */
export const deliveryKey = JSON.stringify({
  publicKey: { kty: 'OKP', crv: 'X25519', x: Buffer.alloc(32, 9).toString('base64url') },
});

/** A process of its own, listening on loopback. */
export interface MeasuredServer {
  readonly pid: number;
  readonly port: number;
  end(): Promise<void>;
}

/** Starts one of `plain-servers.ts`. */
export async function startMeasured(
  kind: 'raw' | 'floor' | 'relay' | 'strongroom',
  environment: Readonly<Record<string, string>> = {},
): Promise<MeasuredServer> {
  const program = fileURLToPath(new URL('plain-servers.ts', import.meta.url));
  const options = kind === 'strongroom' ? serverOptions : [];
  const child = spawn(process.execPath, [...options, program, kind], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      HOME: tmpdir(),
      ...(kind === 'strongroom' ? serverEnvironment : {}),
      ...environment,
    },
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
    pid: child.pid ?? 0,
    port,
    async end() {
      child.stdin.end();
      await gone;
    },
  };
}

/** Our server with a domain and a service account that may resolve in it. Sealing is left out (`plain-servers.ts`). */
export interface MeasuredStrongroom extends MeasuredServer {
  /** PLATFORM_ADMIN. */
  readonly admin: Client;
  /** Asks for metadata, as bytes. */
  readonly metadata: (key: string) => Buffer;
  /** Makes a launch of one reference; answers the request that resolves it. It can be repeated for a minute. */
  readonly resolveOf: (reference: string) => Promise<Buffer>;
}

export async function startStrongroom(): Promise<MeasuredStrongroom> {
  const directory = mkdtempSync(join(tmpdir(), 'strongroom-bench-'));
  const adminToken = createToken('srt_');
  writeFileSync(join(directory, 'token'), adminToken, { mode: 0o600 });
  const server = await startMeasured('strongroom', {
    STRONGROOM_DATA_DIR: join(directory, 'data'),
    STRONGROOM_LISTEN: '127.0.0.1:0',
    STRONGROOM_BOOTSTRAP_TOKEN_FILE: join(directory, 'token'),
    STRONGROOM_LIMITS_REQUESTS_PER_MINUTE: '100000000',
    STRONGROOM_LIMITS_LAUNCHES_PER_MINUTE: '1000000',
  });
  const end = async (): Promise<void> => {
    await server.end();
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    const url = `http://127.0.0.1:${server.port}`;
    const admin = createClient({ url, token: adminToken });
    const token = await workload(admin);
    const client = createClient({ url, token });
    const headers = { Authorization: `Bearer ${token}` };
    return {
      ...server,
      end,
      admin,
      metadata: (name) => requestBytes('GET', `/v1/domains/${domain}/secrets/${name}`, headers),
      async resolveOf(reference) {
        const body = { references: [{ name: 'PGPASSWORD', reference }] };
        const launch = await client.createLaunch({ params: { domain }, body });
        return requestBytes('POST', `/v1/launches/${launch.id}/resolve`, headers, deliveryKey);
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}

/** @returns the token of a service account with RESOLVE */
async function workload(admin: Client): Promise<string> {
  await admin.createDomain({ body: { name: domain } });
  const account = await admin.createDomainServiceAccount({ params: { domain }, body: { name: 'workload' } });
  const { token } = await admin.issueDomainToken({
    params: { domain, serviceAccount: account.id },
    body: { description: 'bench' },
  });
  const principal = `service-account:${domain}/workload`;
  await admin.putMember({ params: { domain, principal }, body: { preset: 'MEMBER' } });
  await admin.addGrant({ params: { domain }, body: { principal, permission: 'RESOLVE' } });
  return token;
}

/**
 * Milliseconds of processor time that a process has had so far, all of its threads; 0 where there is no `/proc` (proc(5),
 * `utime` and `stime`, in ticks of 10 ms).
 */
export function processorMilliseconds(pid: number): number {
  if (process.platform !== 'linux') return 0;
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The second field is a name in brackets that may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
