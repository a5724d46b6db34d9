// SIGKILL at random moments under writes: nothing acknowledged is lost, everything decrypts, the audit chain verifies.
//
//     node bench/drills/kill.ts [kills=200]
//
// Writers create and rotate secrets and note each acknowledgement. At the end every secret is resolved by a workload and
// compared: it holds the value acknowledged last, or one that was sent later and whose answer the kill swallowed.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@strongroom/sdk';
import { verifyDataDirectory } from '../../packages/server/src/audit/verify-files.ts';
import { createServerProcess } from '../server-process.ts';
import { addReader, domain, Ledger } from './ledger.ts';

const kills = Number(process.argv[2] ?? 200);
const writers = 8;

const ledger = new Ledger();
const server = await createServerProcess({ STRONGROOM_LIMITS_REQUESTS_PER_MINUTE: '1000000' });
try {
  await server.start();
  const admin = createClient({ url: server.url, token: server.token });
  await admin.createDomain({ body: { name: domain } });
  for (let kill = 1; kill <= kills; kill += 1) {
    const stop = new AbortController();
    const writing = Array.from({ length: writers }, async (_, n) =>
      ledger.write(server, `writer-${n}-round-${kill % 20}`, stop.signal),
    );
    await sleep(100 + Math.random() * 900);
    await server.end('SIGKILL');
    stop.abort();
    await Promise.all(writing);
    await server.start();
    if (kill % 20 === 0)
      console.log(`${kill} kills, ${ledger.acknowledgements} acknowledged writes, ${ledger.secrets} secrets`);
  }
  await ledger.compare(await addReader(admin, server.url));
  await server.end('SIGTERM');
  const report = await verifyDataDirectory(join(server.directory, 'data'));
  if (!report.ok) throw new Error(`The audit log does not verify: ${JSON.stringify(report.firstBad)}`);
  console.log(
    `${kills} kills: ${ledger.acknowledgements} acknowledged writes, none lost; ${report.records} audit records in ${report.chains} chains verify`,
  );
} finally {
  await server.end('SIGKILL');
  rmSync(server.directory, { recursive: true, force: true });
}
