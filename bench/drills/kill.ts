// SIGKILL at random moments under writes: nothing acknowledged is lost, everything decrypts, the audit chain verifies.
//
//     node bench/drills/kill.ts [kills=200] [seed]
//
// Writers create and rotate secrets and note each acknowledgement. At the end every secret is resolved by a workload and
// compared: it holds the value acknowledged last, or one that was sent later and whose answer the kill swallowed.
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient, StrongroomError } from '@strongroom/sdk';
import { openLaunch } from '@strongroom/sdk/workload';
import { verifyDataDirectory } from '../../packages/server/src/audit/verify-files.ts';
import { createServerProcess, type ServerProcess } from '../server-process.ts';

const kills = Number(process.argv[2] ?? 200);
const writers = 8;
const domain = 'drill';

/** What may legally be in the store for one key. */
interface Entry {
  acknowledged: string | undefined;
  /** Sent after the acknowledged one; the answer never came. */
  readonly unanswered: Set<string>;
}

const ledger = new Map<string, Entry>();
let acknowledgements = 0;

async function main(): Promise<void> {
  const server = await createServerProcess({ STRONGROOM_LIMITS_REQUESTS_PER_MINUTE: '1000000' });
  try {
    await server.start();
    const admin = createClient({ url: server.url, token: server.token });
    await admin.createDomain({ body: { name: domain } });
    for (let kill = 1; kill <= kills; kill += 1) {
      const stop = new AbortController();
      const writing = Array.from({ length: writers }, async (_, n) =>
        write(server, `writer-${n}-round-${kill % 20}`, stop.signal),
      );
      await sleep(100 + Math.random() * 900);
      await server.end('SIGKILL');
      stop.abort();
      await Promise.all(writing);
      await server.start();
      if (kill % 20 === 0)
        console.log(`${kill} kills, ${acknowledgements} acknowledged writes, ${ledger.size} secrets`);
    }
    await compare(server, admin);
    await server.end('SIGTERM');
    const report = await verifyDataDirectory(join(server.directory, 'data'));
    if (!report.ok) throw new Error(`The audit log does not verify: ${JSON.stringify(report.firstBad)}`);
    console.log(
      `${kills} kills: ${acknowledgements} acknowledged writes, none lost; ${report.records} audit records in ${report.chains} chains verify`,
    );
  } finally {
    await server.end('SIGKILL');
    rmSync(server.directory, { recursive: true, force: true });
  }
}

async function write(server: ServerProcess, key: string, signal: AbortSignal): Promise<void> {
  const client = createClient({ url: server.url, token: server.token, timeoutMilliseconds: 10_000 });
  while (!signal.aborted) {
    const value = randomBytes(18).toString('hex');
    const entry = ledger.get(key) ?? { acknowledged: undefined, unanswered: new Set() };
    const isNew = !ledger.has(key);
    ledger.set(key, entry);
    entry.unanswered.add(value);
    try {
      if (isNew) await client.createDomainSecret({ params: { domain }, body: { key, value } });
      else await client.rotateDomainSecret({ params: { domain, key }, body: { value } });
      entry.acknowledged = value;
      entry.unanswered.clear();
      acknowledgements += 1;
    } catch (error) {
      if (!(error instanceof StrongroomError)) throw error;
      // A create whose answer was lost may have happened, and may not: both are right.
      if (error.code === 'already_exists') continue;
      if (error.code === 'not_found' && entry.acknowledged === undefined) {
        ledger.delete(key);
        continue;
      }
      if (!['server_unreachable', 'deadline_exceeded', 'shutting_down'].includes(error.code)) throw error;
      return;
    }
  }
}

/** Resolves every secret as a workload does and holds it against the ledger. */
async function compare(server: ServerProcess, admin: Client): Promise<void> {
  const account = await admin.createDomainServiceAccount({ params: { domain }, body: { name: 'reader' } });
  const issued = await admin.issueDomainToken({
    params: { domain, serviceAccount: account.id },
    body: { description: 'drill' },
  });
  await admin.addGrant({
    params: { domain },
    body: { principal: `service-account:${domain}/reader`, permission: 'RESOLVE' },
  });
  await admin.putMember({
    params: { domain, principal: `service-account:${domain}/reader` },
    body: { preset: 'MEMBER' },
  });
  const reader = createClient({ url: server.url, token: issued.token });
  const keys = [...ledger].filter(([, entry]) => entry.acknowledged !== undefined).map(([key]) => key);
  for (let at = 0; at < keys.length; at += 50) {
    const part = keys.slice(at, at + 50);
    const launch = await openLaunch(reader, {
      domain,
      references: part.map((key, n) => ({ name: `V${n}`, reference: `secret://domain/managed/${key}` })),
    });
    const delivered = await launch.resolve();
    for (const [n, key] of part.entries()) {
      const held = delivered.text(`V${n}`);
      const entry = ledger.get(key);
      if (held !== entry?.acknowledged && entry?.unanswered.has(held) !== true)
        throw new Error(`${key} lost an acknowledged write`);
    }
  }
}

await main();
