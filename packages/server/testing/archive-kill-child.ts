import { readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { kekFromBytes, SigningKey } from '@strongroom/crypto';
import { archiveLease, archiveRecords } from '../src/audit/archive.ts';
import { openKeyring } from '../src/keys/keyring.ts';
import { dataFiles } from '../src/store/data-directory.ts';
import { withLease } from '../src/store/leases.ts';
import { openSqliteStore } from '../src/store/sqlite.ts';
import { writeDeadlineMilliseconds } from './write-deadline.ts';

/**
 * Archives in segments of 50 records until it is done or killed. Says `ready` before it begins and `done` at its end.
 * Arguments: data directory (with `kek` in it), directory of the archive.
 */
const [directory = '', archive = ''] = process.argv.slice(2);
const store = await openSqliteStore({ directory, writeDeadlineMilliseconds });
const keys = await openKeyring(store, kekFromBytes(readFileSync(join(directory, 'kek'))));
const material = await keys.auditKeys();
await store.startAudit({
  keys: material,
  epoch: 1,
  anchor: { path: dataFiles(directory).anchor, isOnStdout: false },
});
const parts = { store, signing: new SigningKey(material.signingSeed), installationId: keys.installationId };
writeSync(1, 'ready\n');
for (let isDone = false; !isDone;) {
  // That of a run that was killed expires soon.
  const outcome = await withLease(store, archiveLease, `${process.pid}`, 300, (lease) =>
    archiveRecords(parts, {
      directory: archive,
      before: Date.now() + 60_000,
      lease,
      principalName: 'system',
      recordsPerSegment: 50,
    }),
  );
  isDone = outcome.held;
}
await store.close();
writeSync(1, 'done\n');
