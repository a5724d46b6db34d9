import { writeSync } from 'node:fs';
import process from 'node:process';
import { StrongroomError } from '@strongroom/contract';
import { withLease } from '../src/store/leases.ts';
import { openPostgresStore } from '../src/store/postgres.ts';
import type { Store } from '../src/store/store.ts';
import { testProgram } from './programs.ts';
import type { TestCommands, TestQueries } from './store-program.ts';

/** Writes before it stops itself, between two of them. */
const writesBefore = 5;

/**
 * Writes under a lease and says each write on its standard output, stops itself, and goes on when it is let until it is
 * refused; says with which code.
 * Arguments: URL of a PostgreSQL database, name of the lease, its time in milliseconds.
 */
const [url = '', name = '', ttl = ''] = process.argv.slice(2);
const opened = await openPostgresStore<TestCommands, TestQueries>({ url, program: testProgram('store-program') });
// The program has the store's own commands, which is all that leases use.
const store = opened as unknown as Store;

await withLease(store, name, 'child', Number(ttl), async (lease) => {
  for (let count = 1; ; count += 1) {
    try {
      await opened.execute('test.complete', { key: `${name}-child-${count}`, value: '', lease });
      writeSync(1, `${count}\n`);
      if (count === writesBefore) process.kill(process.pid, 'SIGSTOP');
    } catch (error) {
      if (!(error instanceof StrongroomError)) throw error;
      writeSync(1, `${error.code}\n`);
      return;
    }
  }
});
await opened.close();
