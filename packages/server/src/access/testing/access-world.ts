import { isErrorCode, StrongroomError, type ErrorCode, type PlatformRole } from '@strongroom/contract';
import type { OpenStoreForTest, TestStore } from '../../../testing/stores.ts';
import type { RecordContent } from '../../audit/record-content.ts';
import { Domains } from '../../domains/service.ts';
import { principalLabel, systemActor } from '../../identities/actor.ts';
import { globalScopeId, newId } from '../../store/ids.ts';
import type { Queries } from '../../store/queries.ts';
import { BundleAssets } from '../bundle-assets.ts';
import { Bundles } from '../bundles.ts';
import { defaultBundleIdOf } from '../default-bundle.ts';
import { Explain } from '../explain.ts';
import { Members } from '../members.ts';
import { createAccess, type AccessService } from '../service.ts';
import type { Caller, ScopeRef } from '../types.ts';
import { WhoMay } from '../who-may.ts';
import type { TestCommands } from './program.ts';

const people = ['ann', 'bob', 'olga', 'eve', 'mia', 'vic', 'root', 'con', 'zed'] as const;
export type Person = (typeof people)[number];

/**
 * A real store with two domains. In `finance`, olga is OWNER, mia MAINTAINER, ann and bob MEMBER, vic VIEWER; eve owns
 * `other`; root is PLATFORM_ADMIN; con is in group `constructor`; zed stands nowhere.
 */
export class AccessWorld {
  readonly test: TestStore<TestCommands, Queries>;
  readonly access: AccessService;
  readonly members: Members;
  readonly bundles: Bundles;
  readonly assets: BundleAssets;
  readonly explain: Explain;
  readonly whoMay: WhoMay;
  readonly domains: Domains;
  readonly deletedScopes: string[] = [];
  readonly ids = new Map<string, string>();
  finance!: ScopeRef;
  other!: ScopeRef;

  private constructor(test: TestStore<TestCommands, Queries>) {
    this.test = test;
    const { store, keys } = test;
    this.access = createAccess(store);
    this.members = new Members(store, this.access, keys);
    this.bundles = new Bundles(store, this.access, keys);
    this.assets = new BundleAssets(store, this.access, keys);
    this.whoMay = new WhoMay(store, this.access);
    this.explain = new Explain(store, this.access, this.whoMay);
    this.domains = new Domains({ store, access: this.access, keys, onDelete: (id) => this.deletedScopes.push(id) });
  }

  static async open(openStore: OpenStoreForTest): Promise<AccessWorld> {
    const world = new AccessWorld(
      await openStore<TestCommands, Queries>({ program: new URL('program.ts', import.meta.url) }),
    );
    for (const name of people) await world.addUser(name, name === 'root' ? ['PLATFORM_ADMIN'] : []);
    await world.addGroup('constructor', ['con']);
    world.finance = await world.addDomain('finance');
    world.other = await world.addDomain('other');
    const root = await world.caller('root');
    await world.members.add(root, world.finance, { principal: 'user:olga', preset: 'OWNER' });
    await world.members.add(root, world.finance, { principal: 'user:mia', preset: 'MAINTAINER' });
    await world.members.add(root, world.finance, { principal: 'user:ann', preset: 'MEMBER' });
    await world.members.add(root, world.finance, { principal: 'user:bob', preset: 'MEMBER' });
    await world.members.add(root, world.finance, { principal: 'user:vic', preset: 'VIEWER' });
    await world.members.add(root, world.other, { principal: 'user:eve', preset: 'OWNER' });
    await world.members.delete(root, world.finance, 'user:root');
    await world.members.delete(root, world.other, 'user:root');
    return world;
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
