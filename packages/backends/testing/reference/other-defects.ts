import { StrongroomError } from '@strongroom/contract/core';
import { SecretValue } from '@strongroom/crypto';
import type { Backend, CallOptions, ListPage } from '../../src/backend.ts';
import { referenceCapabilities } from './backend.ts';
import type { Defect } from './defects.ts';
import { reading } from './read-defects.ts';

const never = new AbortController().signal;

/** What is wrong with names, lists, errors, signals and the life of an instance. */
export const otherDefects: readonly Defect[] = [
  {
    title: 'names are sanitised',
    caughtBy: {
      'names-never-one-entry': 'an entry of another name is read',
      'names-clash-refused': 'took another’s place',
      'names-taken': 'nothing is there',
    },
    plant: (backend) => renaming(backend, (key) => key.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')),
  },
  {
    title: 'names are normalised as paths',
    caughtBy: { 'names-never-one-entry': 'an entry of another name is read' },
    plant: (backend) =>
      renaming(backend, (key) => new URL(`http://h/${encodeURI(key.toWellFormed())}`).pathname.slice(1)),
  },
  {
    title: 'a name that can not be is an error of the language',
    caughtBy: { 'names-never-one-entry': 'URIError' },
    plant: (backend) => renaming(backend, (key) => decodeURIComponent(encodeURIComponent(key))),
  },
  {
    title: 'a delete is by a sanitised name',
    caughtBy: { 'names-clash-refused': 'took another with it' },
    plant: (backend, { store }) => ({
      ...backend,
      async delete(key, options) {
        await backend.delete(key, options);
        const same = (name: string) => name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
        for (const other of store.list(null, 1000)) if (same(other) === same(key)) store.remove(other);
      },
    }),
  },
  {
    title: 'page lost: a short page is taken for the last one',
    caughtBy: { 'list-every-page': 'are not listed' },
    plant: (backend) =>
      listing(backend, (page, limit) => (page.items.length < limit ? { ...page, nextCursor: null } : page)),
  },
  {
    title: 'duplicate in a page: each begins with the end of the one before',
    caughtBy: { 'list-no-duplicates': 'are listed again', 'list-limit': 'at most' },
    plant: (backend) => ({
      ...backend,
      async list(options) {
        const page = await backend.list(options);
        const last = options.cursor === undefined ? [] : [{ key: Buffer.from(options.cursor, 'base64url').toString() }];
        return { ...page, items: [...last, ...page.items] };
      },
    }),
  },
  {
    title: 'the cursor is an offset',
    caughtBy: { 'list-while-it-changes': 'all the time are not listed' },
    plant: (backend, { store }) => ({
      ...backend,
      list({ cursor, limit }) {
        const [start, all] = [Number(cursor ?? 0), store.list(null, 10_000)];
        const items = all.slice(start, start + limit).map((key) => ({ key }));
        return Promise.resolve({ items, nextCursor: start + limit < all.length ? String(start + limit) : null });
      },
    }),
  },
  {
    title: 'the cursor is kept in the instance',
    caughtBy: { 'list-cursor-of-another-instance': 'different pages' },
    plant: (backend) => {
      const cursors = new Map<string, string>();
      return {
        ...backend,
        async list({ cursor, ...options }) {
          const known = cursors.get(cursor ?? '');
          const page = await backend.list(known === undefined ? options : { ...options, cursor: known });
          if (page.nextCursor === null) return page;
          const nextCursor = String(cursors.size + 1);
          cursors.set(nextCursor, page.nextCursor);
          return { ...page, nextCursor };
        },
      };
    },
  },
  {
    title: 'a cursor is parsed',
    caughtBy: { 'list-cursor-malformed': 'SyntaxError' },
    plant: (backend) => ({
      ...backend,
      list({ cursor, ...options }) {
        const from = cursor === undefined ? {} : { cursor: JSON.parse(cursor) as string };
        return backend.list({ ...options, ...from });
      },
    }),
  },
  {
    title: 'the list has names that can not be read',
    caughtBy: { 'list-keys-are-read': 'not there when it is read' },
    plant: (backend) =>
      listing(backend, (page) => ({ ...page, items: page.items.map(({ key }) => ({ key: `secret/${key}` })) })),
  },
  {
    title: 'the list leaves out what it does not like',
    caughtBy: { 'list-known-keys': '1 of 2 keys', 'put-listed': 'not listed', 'names-taken': 'not listed' },
    plant: (backend) =>
      listing(backend, (page) => ({ ...page, items: page.items.filter(({ key }) => !/[-_]/.test(key)) })),
    adjust(context, fixture) {
      const keys = ['known', 'known_too'];
      for (const key of keys) fixture.seed(key, { value: SecretValue.fromText('canary'), shape: 'text' });
      return { ...context, existingKeys: keys };
    },
  },
  {
    title: 'the list has everybody’s',
    caughtBy: { 'foreign-not-listed': 'it is listed' },
    plant: (backend, { store }) =>
      listing(backend, () => listOf(store.database.prepare('SELECT key FROM entries').all())),
  },
  {
    title: 'the list remembers',
    caughtBy: { 'list-without-removed': 'what was deleted is listed' },
    plant(backend, { store }) {
      store.database.exec(`
        CREATE TEMP TABLE IF NOT EXISTS tombstones (key TEXT);
        CREATE TEMP TRIGGER IF NOT EXISTS bury AFTER DELETE ON main.entries
          BEGIN INSERT INTO tombstones VALUES (old.key); END;
      `);
      const all = 'SELECT key FROM entries UNION SELECT key FROM tombstones';
      return listing(backend, () => listOf(store.database.prepare(all).all()));
    },
  },
  {
    title: 'outage as absence',
    caughtBy: {
      'fault-unreachable-thrown': 'get of one that was used: it did not throw',
      'fault-cut-thrown': 'it did not throw',
      'fault-failing-thrown': 'it did not throw',
      'error-without-answer': 'did not throw',
    },
    plant: (backend) => catching(backend, ['backend_unavailable'], () => null),
  },
  {
    title: 'no access as absence',
    caughtBy: { 'fault-denied-thrown': 'it did not throw', 'fault-sealed-thrown': 'it did not throw' },
    plant: (backend) => catching(backend, ['backend_denied', 'backend_sealed'], () => null),
  },
  {
    title: 'outage as an empty list',
    caughtBy: { 'fault-unreachable-thrown': 'list of one that was used: it did not throw' },
    plant: (backend) => ({
      ...backend,
      list: (options) => backend.list(options).catch(() => ({ items: [], nextCursor: null })),
    }),
  },
  {
    title: 'a log-in page is an error of the language',
    caughtBy: { 'fault-malformed-thrown': 'SyntaxError', 'fault-throttled-thrown': 'SyntaxError' },
    plant: (backend) =>
      catching(backend, ['backend_malformed', 'backend_throttled'], () => {
        throw new SyntaxError('Unexpected token <');
      }),
  },
  {
    title: 'check throws',
    caughtBy: {
      'fault-unreachable-in-check': 'check: it threw backend_unavailable',
      'check-while-hanging': 'it threw',
    },
    plant: (backend) =>
      checking(backend, (failed) => {
        throw failed;
      }),
  },
  {
    title: 'check goes on after a step that failed',
    caughtBy: { 'fault-unreachable-in-check': 'not skipped' },
    plant: (backend) => ({
      ...backend,
      check: async (options) =>
        (await backend.check(options)).map((line) =>
          line.outcome === 'skipped' ? { ...line, outcome: 'failed', code: 'backend_unavailable' } : line,
        ),
    }),
  },
  {
    title: 'check says one thing for everything',
    caughtBy: {
      'fault-denied-in-check': 'instead of backend_denied',
      'fault-sealed-in-check': 'instead of backend_sealed',
      'fault-malformed-in-check': 'instead of backend_malformed',
      'fault-failing-in-check': 'instead of backend_unavailable',
    },
    plant: (backend) => checking(backend, () => 'internal'),
  },
  {
    title: 'check fails where all is well',
    caughtBy: { 'check-lines': 'failed with backend_denied' },
    plant: (backend) => ({
      ...backend,
      check: () =>
        Promise.resolve([{ step: 'login', outcome: 'failed', code: 'backend_denied', message: 'Refused' }] as const),
    }),
  },
  {
    title: 'a write that was cut off can not be recognised',
    caughtBy: { 'fault-cut-write-recognised': 'of neither write' },
    plant: (backend) =>
      reading(backend, ({ value, shape, fieldNames, version, updatedAt }) => ({
        value,
        shape,
        fieldNames,
        version,
        updatedAt,
      })),
  },
  {
    title: 'a credential in the cause',
    caughtBy: { 'error-without-answer': 'holds a credential' },
    plant: (backend, { server }) =>
      catching(backend, ['backend_unavailable', 'backend_denied'], (error) => {
        const cause = Object.assign(new Error('Request failed'), { config: { headers: [`Bearer ${server.token}`] } });
        throw new StrongroomError(error.code, { cause });
      }),
  },
  {
    title: 'the answer in the message',
    caughtBy: { 'error-without-value-at-rest': 'a part of the answer', 'error-without-answer': 'a part of the answer' },
    plant: (backend, { server }) =>
      catching(backend, ['backend_denied'], (error) => {
        throw new StrongroomError(error.code, {
          detail: `The server said: ${Buffer.from(server.echo).toString('hex')}`,
        });
      }),
  },
  {
    title: 'abort ignored',
    caughtBy: { 'abort-before': 'it did not throw', 'abort-while-hanging': 'after its signal' },
    plant: (backend) => ({ ...backend, get: (key, options) => backend.get(key, { ...options, signal: never }) }),
  },
  {
    title: 'an abort is an error of the language',
    caughtBy: { 'abort-at-any-time': 'AbortError', 'abort-before': 'AbortError' },
    plant: (backend) => ({
      ...backend,
      get: (key, options) =>
        backend.get(key, options).catch((error: unknown) => {
          throw options.signal.aborted ? new DOMException('Aborted', 'AbortError') : error;
        }),
    }),
  },
  {
    title: 'it answers after close',
    caughtBy: { 'close-then-typed-error': 'did not throw' },
    plant: (backend) => ({ ...backend, close: () => Promise.resolve() }),
  },
  {
    title: 'all instances share one connection',
    caughtBy: { 'close-of-one-leaves-others': 'it threw backend_unavailable' },
    plant: (backend, fixture) => {
      const shared = (fixture.shared ??= backend);
      return { ...shared, close: () => shared.close() };
    },
  },
  {
    title: 'nothing where it should say that it can not',
    caughtBy: { 'undeclared-not-supported': 'list: it did not throw' },
    plant: (backend) => ({
      ...backend,
      capabilities: { ...referenceCapabilities, list: false },
      list: () => Promise.resolve({ items: [], nextCursor: null }),
    }),
  },
  {
    title: 'it writes though it says that it can not',
    caughtBy: { 'undeclared-not-supported': 'put: it did not throw' },
    plant: (backend) => ({ ...backend, capabilities: { ...referenceCapabilities, put: false, cas: false } }),
  },
  {
    title: 'capabilities that change',
    caughtBy: { 'capabilities-consistent': 'different capabilities' },
    plant: (backend, fixture) => {
      fixture.opened += 1;
      return { ...backend, capabilities: { ...referenceCapabilities, batch: fixture.opened } };
    },
  },
  {
    title: 'a kind of name that is not declared reads another entry',
    caughtBy: { 'names-refused': 'an entry of another name is read' },
    plant: (backend) =>
      renaming(backend, (key) =>
        key
          .replace(/[#?].*$/, '')
          .replace('_', '-')
          .toLowerCase(),
      ),
    adjust: (context) => ({ ...context, keyKinds: ['nested'] }),
  },
];

/** Calls the backend by other names than it is asked for. */
function renaming(backend: Backend, rename: (key: string) => string): Backend {
  return {
    ...backend,
    get: async (key, options) => backend.get(rename(key), options),
    put: async (key, content, options) => backend.put(rename(key), content, options),
    delete: async (key, options) => backend.delete(rename(key), options),
  };
}

function listOf(rows: readonly Record<string, unknown>[]): ListPage {
  return { items: rows.map((row) => ({ key: String(row['key']) })), nextCursor: null };
}

function listing(backend: Backend, change: (page: ListPage, limit: number) => ListPage): Backend {
  return { ...backend, list: async (options) => change(await backend.list(options), options.limit) };
}

/** Does something else with certain errors of `get`. */
function catching(backend: Backend, codes: readonly string[], instead: (error: StrongroomError) => null): Backend {
  return {
    ...backend,
    async get(key, options) {
      try {
        return await backend.get(key, options);
      } catch (error) {
        if (error instanceof StrongroomError && codes.includes(error.code)) return instead(error);
        throw error;
      }
    },
  };
}

function checking(backend: Backend, change: (error: StrongroomError) => 'internal'): Backend {
  const check = async (options: CallOptions) => {
    const lines = await backend.check(options);
    return lines.map((line) =>
      line.code === undefined ? line : { ...line, code: change(new StrongroomError(line.code)) },
    );
  };
  return { ...backend, check };
}
