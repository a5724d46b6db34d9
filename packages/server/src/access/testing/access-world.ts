import { isErrorCode, StrongroomError, type ErrorCode, type PlatformRole } from '@strongroom/contract';
import type { OpenStoreForTest, TestStore } from '../../../testing/stores.ts';
import type { RecordContent } from '../../audit/record-content.ts';
import { Domains } from '../../domains/service.ts';
import { principalLabel, systemActor } from '../../identities/actor.ts';
import { globalScopeId, newId } from '../../store/ids.ts';
import { BundleAssets } from '../bundle-assets.ts';
import { Bundles } from '../bundles.ts';
import { defaultBundleIdOf } from '../default-bundle.ts';
import { DecisionLinks } from '../explain-links.ts';
import { Explain } from '../explain.ts';
import { Members } from '../members.ts';
import { createAccess, type AccessService } from '../service.ts';
import type { Caller, ScopeRef } from '../types.ts';
import { WhoMay } from '../who-may.ts';
import type { TestCommands } from './program.ts';

const people = ['ann', 'bob', 'olga', 'eve', 'mia', 'vic', 'root', 'con', 'zed'] as const;
export type Person = (typeof people)[number];

/**
 * Two domains in a real store. In `finance`, olga is OWNER, mia MAINTAINER, ann and bob MEMBER, vic VIEWER; eve owns `other`;
 * root is PLATFORM_ADMIN; con is in group `constructor`; zed stands nowhere. Each suite has domains of its own; the store and
 * its people are shared, because opening a store takes longer than a suite.
 */
const databaseAlone = { stores: { admin: undefined, global: undefined, domains: undefined }, vault: null };

export class AccessWorld {
  readonly test: TestStore<TestCommands>;
  readonly access: AccessService;
  readonly members: Members;
  readonly bundles: Bundles;
  readonly assets: BundleAssets;
  readonly explain: Explain;
  readonly whoMay: WhoMay;
  readonly domains: Domains;
  readonly deletedScopes: string[] = [];
  readonly ids: Map<string, string>;
  finance!: ScopeRef;
  other!: ScopeRef;

  private constructor(test: TestStore<TestCommands>, ids: Map<string, string>) {
    this.test = test;
    this.ids = ids;
    const { store, keys } = test;
    this.access = createAccess(store);
    this.members = new Members(store, this.access, keys);
    this.bundles = new Bundles(store, this.access, keys);
    this.assets = new BundleAssets(store, this.access, keys);
    this.whoMay = new WhoMay(store, this.access);
    this.explain = new Explain({
      store,
      access: this.access,
      links: new DecisionLinks(store, this.whoMay),
      askKey: () => Promise.reject(new Error('No backend is asked here')),
      explainUse: async () => [],
      areReferencesEnabled: async () => true,
    });
    this.domains = new Domains({
      store,
      access: this.access,
      keys,
      onDelete: (id) => this.deletedScopes.push(id),
      managed: databaseAlone,
    });
  }

  static async open(openStore: OpenStoreForTest, suite: string): Promise<AccessWorld> {
    const shared = stores.get(openStore) ?? openPeople(openStore);
    stores.set(openStore, shared);
    const { test, ids } = await shared;
    const world = new AccessWorld(test, ids);
    world.finance = await world.addDomain(`finance-${suite}`);
    world.other = await world.addDomain(`other-${suite}`);
    const root = await world.caller('root');
    const presets = { olga: 'OWNER', mia: 'MAINTAINER', ann: 'MEMBER', bob: 'MEMBER', vic: 'VIEWER' } as const;
    for (const [name, preset] of Object.entries(presets))
      await world.members.add(root, world.finance, { principal: `user:${name}`, preset });
    await world.members.add(root, world.other, { principal: 'user:eve', preset: 'OWNER' });
    await world.members.delete(root, world.finance, 'user:root');
    await world.members.delete(root, world.other, 'user:root');
    return world;
  }

  static async populate(test: TestStore<TestCommands>): Promise<SharedStore> {
    const world = new AccessWorld(test, new Map());
    for (const name of people) await world.addUser(name, name === 'root' ? ['PLATFORM_ADMIN'] : []);
    await world.addGroup('constructor', ['con']);
    return { test, ids: world.ids };
  }

  async addUser(name: string, roles: readonly PlatformRole[] = []): Promise<void> {
    const id = newId('user');
    this.ids.set(name, id);
    await this.test.store.execute('identities.createUser', {
      actor: systemActor,
      id,
      name,
      displayName: name,
      email: null,
      roles,
      passwordHash: null,
      link: null,
    });
  }

  async addGroup(name: string, members: readonly Person[]): Promise<void> {
    const groupId = newId('group');
    this.ids.set(name, groupId);
    await this.test.store.execute('identities.createGroup', {
      actor: systemActor,
      id: groupId,
      name,
      displayName: name,
      roles: [],
    });
    for (const member of members)
      await this.test.store.execute('identities.addGroupMember', {
        actor: systemActor,
        groupId,
        principalId: this.id(member),
      });
  }

  async addServiceAccount(name: string, domain?: ScopeRef): Promise<void> {
    const id = newId('serviceAccount');
    this.ids.set(domain === undefined ? name : `${domain.name}/${name}`, id);
    await this.test.store.execute('identities.createServiceAccount', {
      actor: systemActor,
      id,
      name,
      displayName: name,
      roles: [],
      ...(domain === undefined ? {} : { scope: { id: domain.id, name: domain.name } }),
    });
  }

  async addDomain(name: string): Promise<ScopeRef> {
    const view = await this.domains.create(await this.caller('root'), { name });
    return { id: view.id, kind: 'domain', name };
  }

  async addSecret(scope: ScopeRef | 'global', key: string): Promise<string> {
    const id = newId('secret');
    await this.test.store.execute('test.addSecret', {
      id,
      scopeId: scope === 'global' ? globalScopeId : scope.id,
      key,
    });
    return id;
  }

  async addJob(scope: ScopeRef, name: string): Promise<string> {
    const id = newId('configuration');
    await this.test.store.execute('test.addConfiguration', {
      id,
      scopeId: scope.id,
      surface: 'spark-job',
      name,
      bundleId: defaultBundleIdOf(scope.id),
    });
    return id;
  }

  id(name: string): string {
    const id = this.ids.get(name);
    if (id === undefined) throw new TypeError(`no ${name} in this world`);
    return id;
  }

  /** Somebody signed in now. */
  async caller(name: string): Promise<Caller> {
    const id = this.id(name);
    const snapshot = await this.access.snapshot(id);
    if (snapshot === null) throw new TypeError(`${name} is gone`);
    const kind = snapshot.principal.kind === 'user' ? 'user' : 'service-account';
    const [domain, own] = name.includes('/') ? name.split('/') : [null, name];
    return {
      id,
      kind,
      name: principalLabel({ kind, name: own ?? '', domain: domain ?? null }),
      snapshot,
      requestId: 'req-test',
      network: '192.0.2.1',
      credential: { type: 'session', id: 'ses_test' },
    };
  }

  /** Whether somebody may use a key of a domain's managed store now. */
  async mayUse(name: string, scope: ScopeRef, key: string): Promise<boolean> {
    const { snapshot } = await this.caller(name);
    const asset = await this.access.secretAsset(scope, { scope: 'domain', secretId: 'sec_x', key });
    return this.access.decide(snapshot, 'secret.use', { kind: 'asset', asset }).allow;
  }

  /** Audit records of one kind, oldest first. */
  async audit(action: string, outcome = 'allowed'): Promise<readonly RecordContent[]> {
    const rows = await this.test.store.db
      .selectFrom('audit_records')
      .select(['record', 'sequence'])
      .where('action', '=', action)
      .where('outcome', '=', outcome)
      .orderBy('chain_id')
      .orderBy('sequence')
      .execute();
    return rows.map((row) => JSON.parse(Buffer.from(row.record).toString('utf8')) as RecordContent);
  }
}

interface SharedStore {
  readonly test: TestStore<TestCommands>;
  readonly ids: Map<string, string>;
}

const stores = new Map<OpenStoreForTest, Promise<SharedStore>>();

async function openPeople(openStore: OpenStoreForTest): Promise<SharedStore> {
  return AccessWorld.populate(await openStore<TestCommands>({ program: new URL('program.ts', import.meta.url) }));
}

/** The code of the error a promise is refused with; anything else fails the test. */
export async function codeOf(promise: Promise<unknown>): Promise<ErrorCode> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof StrongroomError && isErrorCode(error.code)) return error.code;
    throw error;
  }
  throw new TypeError('it was not refused');
}
