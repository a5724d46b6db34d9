import type { Backend } from '@strongroom/backends';
import type { Kek } from '@strongroom/crypto';
import { createAccess } from '../src/access/service.ts';
import type { Caller, ScopeRef } from '../src/access/types.ts';
import type { Fetched } from '../src/launches/sources/source.ts';
import { findTarget } from '../src/launches/targets.ts';
import type { OutsideType, StoreScope } from '../src/managed-stores/opened-stores.ts';
import { createManagedStores, type ManagedStoreParts } from '../src/managed-stores/parts.ts';
import type { ManagedWritesParts } from '../src/managed-stores/writes.ts';
import { SecretImporter } from '../src/secrets/importer.ts';
import { SecretReader } from '../src/secrets/reader.ts';
import { Secrets } from '../src/secrets/service.ts';
import { globalScopeId } from '../src/store/ids.ts';
import type { Writer } from '../src/store/store.ts';
import { openSqliteStore } from '../src/store/sqlite.ts';
import { nextMillisecond } from './next-millisecond.ts';
import { openTestStore, type TestDatabase, type TestStore } from './stores.ts';
import { writeDeadlineMilliseconds } from './write-deadline.ts';

export const managedScope: ScopeRef = { id: globalScopeId, kind: 'global', name: 'global' };
export const managedSourceId = 'src_global';

/** Somebody who may everything. */
export const managedCaller: Caller = {
  id: 'usr_test',
  kind: 'user',
  name: 'user:ann',
  requestId: 'request',
  network: '127.0.0.1',
  credential: { type: 'token', id: 'tok_test' },
  snapshot: {
    revision: 1,
    principal: { id: 'usr_test', kind: 'user', isDisabled: false },
    roles: new Set(['PLATFORM_ADMIN', 'SECRETS_ADMIN']),
    actorIds: new Set(['usr_test']),
    domains: new Map(),
  },
};

export interface ManagedWorldOptions extends Pick<ManagedWritesParts, 'reached' | 'lifetimeMilliseconds'> {
  readonly open: (type: OutsideType, scope: StoreScope, test: TestStore) => Promise<Backend>;
  readonly type?: OutsideType;
  readonly database?: TestDatabase;
  /** A place that outlives the world. */
  readonly place?: { readonly directory: string; readonly kek: Kek };
}

/** The Global scope of a real installation, with its values in the backend that is given. */
export class ManagedWorld {
  readonly test: TestStore;
  readonly reader: SecretReader;
  readonly secrets: Secrets;
  readonly importer: SecretImporter;
  readonly managed: ManagedStoreParts;
  /** For what is found; they may be changed. */
  readonly limits = { keysPerScope: 1000, keptVersions: 5 };

  /** What the changes commit by; undefined: the store alone. */
  writer: Writer | undefined;

  private constructor(test: TestStore, options: ManagedWorldOptions) {
    const { store, keys } = test;
    this.test = test;
    this.managed = createManagedStores(store, keys, (type, scope) => options.open(type, scope, test), {
      ...options,
      limits: this.limits,
    });
    const { writes } = this.managed;
    this.reader = new SecretReader(store, keys, createAccess(store), async () => []);
    const limits = { valueBytes: 1024 * 1024, keysPerScope: 100, keptVersions: 5, retentionDays: 30 };
    this.secrets = new Secrets(store, { writer: () => this.writer ?? store }, keys, this.reader, limits, writes);
    this.importer = new SecretImporter({
      store,
      secrets: this.secrets,
      reader: this.reader,
      openIntegration: () => Promise.reject(new Error('There is none')),
      maxValueBytes: limits.valueBytes,
      writes,
    });
  }

  static async open(options: ManagedWorldOptions): Promise<ManagedWorld> {
    const { place, database } = options;
    const test = await openTestStore({
      ...(database === undefined ? {} : { database }),
      ...(place === undefined ? {} : { kek: place.kek, database: lastingDatabase(place.directory) }),
    });
    await test.store.execute('managed.choose', {
      scopeId: managedScope.id,
      type: options.type ?? 'VAULT',
      audit: { principal: 'system', principalName: 'system', action: 'settings.manage', outcome: 'allowed' },
    });
    return new ManagedWorld(test, options);
  }

  create(key: string, value: string) {
    return this.secrets.create(managedCaller, managedScope, { key, value });
  }

  async rotate(key: string, value: string, ifMatch?: number) {
    // Its intent is told apart by its time.
    await nextMillisecond();
    return this.secrets.rotate(managedCaller, managedScope, key, { value }, ifMatch);
  }

  async delete(key: string): Promise<void> {
    await this.secrets.delete(managedCaller, managedScope, key, { force: false, ifMatch: undefined });
  }

  async purge(key: string): Promise<void> {
    await nextMillisecond();
    return this.secrets.purge(managedCaller, managedScope, key);
  }

  show(key: string) {
    return this.reader.get(managedCaller, managedScope, key);
  }

  /** What a launch gets: `value`, a blank and its version; else the failure. */
  async launch(key: string): Promise<string> {
    const domain: ScopeRef = { id: 'dom_nobody', kind: 'domain', name: 'nobody' };
    const target = await findTarget(this.test.store, domain, { scope: 'global', source: 'managed', key });
    const fetched = await this.managed.source.fetch([{ key, target }], AbortSignal.timeout(60_000));
    return textOf(fetched.get(key));
  }

  /** The intents of a key, by what became of each. */
  async intents(key: string): Promise<readonly string[]> {
    const rows = await this.test.store.db
      .selectFrom('write_intents')
      .select(['kind', 'state'])
      .where('key', '=', key)
      .orderBy('created_at')
      .orderBy('id')
      .execute();
    return rows.map(({ kind, state }) => `${kind} ${state}`);
  }

  /** Changes of a secret on record: `change outcome`. */
  async audited(key: string): Promise<readonly string[]> {
    const rows = await this.test.store.db
      .selectFrom('audit_records')
      .select('record')
      .where('action', '=', 'secret.manage')
      .orderBy('at')
      .orderBy('chain_id')
      .orderBy('sequence')
      .execute();
    return rows
      .map(({ record }) => JSON.parse(Buffer.from(record).toString('utf8')) as ChangeRecord)
      .filter(({ object }) => object.name === key)
      .map(({ outcome, detail }) => `${detail.change} ${outcome}`);
  }

  async close(): Promise<void> {
    await this.managed.stores.close();
    await this.test.close();
  }
}

interface ChangeRecord {
  readonly outcome: string;
  readonly object: { readonly name: string };
  readonly detail: { readonly change: string };
}

function textOf(fetched: Fetched | undefined): string {
  if (fetched === undefined) return 'nothing';
  if (fetched.kind === 'failed') return fetched.failure;
  const text = `${fetched.value.revealText()} ${fetched.version}`;
  fetched.value.destroy();
  return text;
}

/** Its directory stays when it is closed. */
function lastingDatabase(directory: string): TestDatabase {
  return {
    name: 'SQLite',
    create: async () => ({
      directory,
      open: (program) =>
        openSqliteStore({ writeDeadlineMilliseconds, directory, ...(program !== undefined && { program }) }),
      remove: async () => undefined,
    }),
  };
}
