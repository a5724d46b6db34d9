import { workerData } from 'node:worker_threads';
import { SqliteConnection } from './sqlite-connection.ts';
import type { Query } from './store.ts';
import { loadProgram, type StoreThreadData } from './store-thread.ts';
import { answerCalls } from './thread.ts';

/** The reader thread: named queries of many rows, on a connection of their own, so that they hold up nobody else. */
const { database, program } = workerData as StoreThreadData;
const { queries } = await loadProgram(program);
const known = new Map(Object.entries(queries as Readonly<Record<string, Query<unknown, unknown>>>));
const connection = new SqliteConnection(database, 'read');

answerCalls({
  query: ({ name, args }: { readonly name: string; readonly args: unknown }) => {
    const query = known.get(name);
    if (query === undefined) throw new TypeError(`There is no query ${name}`);
    return query({ db: connection.db, dialect: 'sqlite' }, args);
  },
  close: () => connection.close(),
});
