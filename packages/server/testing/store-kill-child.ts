import { readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { kekFromBytes } from '@strongroom/crypto';
import { openKeyring } from '../src/keys/keyring.ts';
import { dataFiles } from '../src/store/data-directory.ts';
import { openSqliteStore } from '../src/store/sqlite.ts';
import { testEvent, type TestCommands, type TestQueries } from './store-program.ts';
import { testProgram } from './programs.ts';
import { writeDeadlineMilliseconds } from './write-deadline.ts';

/**
 * Writes audited commands as fast as it can until it is killed, and says each on its standard output once it is
 * acknowledged. Arguments: data directory (with `kek` in it), name of this run.
 */
const [directory = '', run = ''] = process.argv.slice(2);
const store = await openSqliteStore<TestCommands, TestQueries>({
  directory,
  writeDeadlineMilliseconds,
  program: testProgram('store-program'),
});
const keys = await openKeyring(store, kekFromBytes(readFileSync(join(directory, 'kek'))));
await store.startAudit({
  keys: await keys.auditKeys(),
  epoch: 1,
  anchor: { path: dataFiles(directory).anchor, isOnStdout: false },
});
writeSync(1, 'ready\n');

async function write(writer: number): Promise<never> {
  for (let count = 0; ; count += 1) {
    const key = `${run}-${writer}-${count}`;
    await store.execute('test.insert', { key, value: key }, { audit: [testEvent(key)] });
    // Synchronous: what was acknowledged is in the pipe before the next instruction.
    writeSync(1, `${key}\n`);
  }
}

await Promise.all([1, 2, 3, 4].map(write));
