// SIGKILL at every step of a write to a managed store outside the database: the old state or the new one, whole.
//
//     node bench/drills/intents.ts [rounds=3]
//
// Over the reference backend of the conformance suite, which is a server with a file. The same over Vault and Kubernetes is
// `kill.live.test.ts` (npm run test:live).
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kekFromBytes } from '@strongroom/crypto';
import { ReferenceFixture } from '../../packages/backends/testing/reference/fixture.ts';
import { allPairs, drill } from '../../packages/server/testing/managed-kills.ts';

const rounds = Number(process.argv[2] ?? 3);
const fixture = await ReferenceFixture.start();
const directory = mkdtempSync(join(tmpdir(), 'strongroom-intents-'));
try {
  const { port, token } = fixture.server;
  const place = {
    directory,
    kek: kekFromBytes(randomBytes(32)),
    store: { kind: 'reference', port, token },
  } as const;
  for (let round = 1; round <= rounds; round += 1) {
    const outcomes = await drill(place, allPairs, `-${round}`);
    console.log(`round ${round}: ${outcomes.join('; ')}`);
  }
  console.log(`${rounds * allPairs.length} kills: every write is whole, with its audit record, or didn't happen`);
} finally {
  rmSync(directory, { recursive: true });
  await fixture.stop();
}
