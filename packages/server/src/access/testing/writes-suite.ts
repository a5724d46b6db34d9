import { randomBytes } from 'node:crypto';
import { createEgress } from '@strongroom/backends/egress';
import { kekFromBytes, SecretValue } from '@strongroom/crypto';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { OpenStoreForTest } from '../../../testing/stores.ts';
import { Clusters } from '../../clusters/service.ts';
import { systemActor } from '../../identities/actor.ts';
import type { OpenEgress } from '../../integrations/connection.ts';
import { Profiles } from '../../integrations/profiles/service.ts';
import { rotateKek } from '../../keys/rotation.ts';
import { keyHandlers } from '../../keys/routes.ts';
import { SecretImporter } from '../../secrets/importer.ts';
import { SecretReader } from '../../secrets/reader.ts';
import { SecretWrites } from '../../secrets/secret-writes.ts';
import { Secrets } from '../../secrets/service.ts';
import { parseValue } from '../../secrets/values.ts';
import { globalScopeId } from '../../store/ids.ts';
import { OwnedSecrets } from '../../surfaces/owned-secrets.ts';
import type { Caller, ScopeRef } from '../types.ts';
import { AccessWorld, codeOf } from './access-world.ts';

type Write = readonly [name: string, action: string, run: (caller: Caller) => Promise<unknown>];

const global: ScopeRef = { id: globalScopeId, kind: 'global', name: 'global' };
const { signal } = new AbortController();

export function writesSuite(openStore: OpenStoreForTest): void {
  describe('writes that a route has admitted', () => {
    let world: AccessWorld;
    let services: ReturnType<typeof servicesOf>;
    beforeAll(async () => {
      world = await AccessWorld.open(openStore, 'writes');
      services = servicesOf(world);
      await world.addUser('kit', ['PLATFORM_ADMIN']);
      await world.members.add(await world.caller('olga'), world.finance, { principal: 'user:kit', preset: 'VIEWER' });
      const kit = await world.caller('kit');
      const { secrets, clusters, profiles } = services;
      for (const key of ['old', 'rotated', 'rolled', 'deleted', 'gone', 'purged'])
        await secrets.create(kit, world.finance, { key, value: 'first' });
      await secrets.rotate(kit, world.finance, 'rolled', { value: 'second' }, undefined);
      for (const key of ['gone', 'purged'])
        await secrets.delete(kit, world.finance, key, { force: false, ifMatch: undefined });
      await secrets.create(kit, global, { key: 'shared', value: 'first' });
      for (const name of ['east', 'west']) await clusters.create(kit, cluster(name), signal);
      await clusters.putTarget(kit, 'east', 'given', world.finance.name);
      for (const name of ['lent', 'ended']) await profiles.create(kit, profile(name));
    });

    beforeEach(() => setRoles(['PLATFORM_ADMIN']));

    const setRoles = async (roles: readonly 'PLATFORM_ADMIN'[]): Promise<void> => {
      const change = { actor: systemActor, kind: 'user', id: world.id('kit'), roles } as const;
      await world.test.store.execute('identities.changePrincipal', change);
    };

    let changes = 0;
    const changeOfOthers = async (): Promise<void> => {
      changes += 1;
      await world.addGroup(`unconcerned-${changes}`, ['bob']);
    };

    const writes: readonly Write[] = [
      ['create a cluster', 'cluster.manage', (kit) => services.clusters.create(kit, cluster('new'), signal)],
      [
        'update a cluster',
        'cluster.manage',
        (kit) => services.clusters.update(kit, 'east', { access: { kind: 'in-cluster' } }, undefined, signal),
      ],
      ['delete a cluster', 'cluster.manage', (kit) => services.clusters.delete(kit, 'west', undefined)],
      [
        'give a namespace',
        'cluster.manage',
        (kit) => services.clusters.putTarget(kit, 'east', 'more', world.finance.name),
      ],
      ['take a namespace', 'cluster.manage', (kit) => services.clusters.deleteTarget(kit, 'east', 'given')],
      ['create a profile', 'profile.manage', (kit) => services.profiles.create(kit, profile('new'))],
      [
        'update a profile',
        'profile.manage',
        (kit) => services.profiles.update(kit, 'lent', { description: 'x' }, undefined),
      ],
      ['delete a profile', 'profile.manage', (kit) => services.profiles.delete(kit, 'ended', undefined)],
      ['create a domain', 'domain.create', (kit) => world.domains.create(kit, { name: `new-${world.finance.name}` })],
      [
        'create a secret',
        'secret.manage',
        (kit) => services.secrets.create(kit, world.finance, { key: 'new', value: 'a' }),
      ],
      [
        'update a secret',
        'secret.manage',
        (kit) => services.secrets.update(kit, world.finance, 'old', { description: 'x' }, undefined),
      ],
      [
        'rotate a secret',
        'secret.manage',
        (kit) => services.secrets.rotate(kit, world.finance, 'rotated', { value: 'b' }, undefined),
      ],
      [
        'roll a secret back',
        'secret.manage',
        (kit) => services.secrets.rollback(kit, world.finance, 'rolled', '1.1', undefined),
      ],
      [
        'delete a secret',
        'secret.manage',
        (kit) => services.secrets.delete(kit, world.finance, 'deleted', { force: false, ifMatch: undefined }),
      ],
      ['restore a secret', 'secret.manage', (kit) => services.secrets.restore(kit, world.finance, 'gone')],
      ['purge a secret', 'secret.manage', (kit) => services.secrets.purge(kit, world.finance, 'purged')],
      [
        'assign a Global secret',
        'secret.manage',
        (kit) => services.secrets.assign(kit, global, 'shared', { domains: [world.finance.name] }),
      ],
      [
        'import secrets',
        'secret.manage',
        (kit) => services.importer.import(kit, world.finance, { format: 'env', content: 'IMPORTED=a\n' }),
      ],
      ['rotate the KEK', 'keys.manage', async (kit) => services.keyRoutes.rotateKeys(requestOf(kit, { what: 'kek' }))],
      [
        'rotate keys',
        'keys.manage',
        async (kit) => services.keyRoutes.rotateKeys(requestOf(kit, { what: 'terms', scope: 'global' })),
      ],
      [
        'confirm the recovery kit',
        'keys.manage',
        async (kit) => services.keyRoutes.confirmRecoveryKit(requestOf(kit, { kekId: world.test.keys.kek.id })),
      ],
    ];

    it.each(writes)('%s only for who may at the commit, too', async (_name, action, run) => {
      const admitted = await world.caller('kit');
      await setRoles([]);
      const before = await contentOf(world);
      const denials = (await world.audit(action, 'denied')).length;
      expect(await codeOf(run(admitted))).toBe('permission_missing');
      expect(await contentOf(world)).toEqual(before);
      const denied = await world.audit(action, 'denied');
      expect([denied.length, denied.at(-1)?.principal?.name]).toEqual([denials + 1, 'user:kit']);

      await setRoles(['PLATFORM_ADMIN']);
      const again = await world.caller('kit');
      await changeOfOthers();
      await run(again);
      expect(await contentOf(world)).not.toEqual(before);
    });

    it('write what was typed into a configuration only while what allowed it stands', async () => {
      const { owned } = services;
      const { finance } = world;
      const owner = { configurationId: 'cfg_of_owned', surface: 'email', name: 'email' };
      const create = (kit: Caller, key: string) =>
        owned.create(kit, finance, owner, key, SecretValue.fromText('a'), null);
      const rotate = (kit: Caller) => owned.rotate(kit, finance, 'typed', SecretValue.fromText('b'));
      const admitted = await world.caller('kit');
      await create(admitted, 'typed');
      const before = await contentOf(world);
      await changeOfOthers();
      expect(await codeOf(rotate(admitted))).toBe('version_conflict');
      expect(await codeOf(create(admitted, 'typed-too'))).toBe('version_conflict');
      expect(await contentOf(world)).toEqual(before);
      await rotate(await world.caller('kit'));
      expect(await contentOf(world)).not.toEqual(before);
    });

    it('answers a conflict of the change itself at once, and a repeat with what was done', async () => {
      const { secrets } = services;
      const kit = await world.caller('kit');
      const { finance } = world;
      await secrets.create(kit, finance, { key: 'contended', value: 'a' });
      await changeOfOthers();
      expect(await codeOf(secrets.rotate(kit, finance, 'contended', { value: 'b' }, 7))).toBe('revision_mismatch');
      const { execute } = world.access.writer(kit, 'secret.manage', { kind: 'scope', scope: finance });
      const parsed = parseValue({ value: 'late' }, 100);
      const row = await services.reader.find(kit, finance, 'contended');
      const late = await secrets.newVersion(kit, finance, row, { parsed, copiedFrom: null }, 'rotate');
      await secrets.rotate(kit, finance, 'contended', { value: 'b' }, undefined);
      expect(await codeOf(execute('secret.setValue', late.args))).toBe('version_conflict');
      const rotations = ['c', 'd'].map((value) => secrets.rotate(kit, finance, 'contended', { value }, undefined));
      expect(
        (await Promise.all(rotations))
          .map(({ version }) => version)
          .toSorted()
          .at(-1),
      ).toBe('1.4');
      const idempotency = { subject: kit.id, route: 'createDomainSecret', key: 'k', bodyHmac: new Uint8Array(32) };
      const first = await secrets.create(kit, finance, { key: 'repeated', value: 'a' }, idempotency);
      await changeOfOthers();
      expect(await secrets.create(kit, finance, { key: 'repeated', value: 'a' }, idempotency)).toEqual(first);
    });
  });
}

function servicesOf({ test, access }: AccessWorld) {
  const { store, keys } = test;
  const limits = { valueBytes: 4096, keysPerScope: 1000, keptVersions: 3, retentionDays: 30 };
  const reader = new SecretReader(store, keys, access, async () => []);
  const secrets = new Secrets(store, access, keys, reader, limits);
  const importer = new SecretImporter({
    store,
    secrets,
    reader,
    openIntegration: () => Promise.reject(new Error('There is none')),
    maxValueBytes: limits.valueBytes,
  });
  const unreachable = () => Promise.reject(new Error('Nothing is reached here'));
  const clusters = new Clusters({
    store,
    access,
    keys,
    installationId: keys.installationId,
    egress: unreachable,
    allowsInCluster: true,
    opened: {
      connect: async ({ name }) => ({
        verifiesTls: true,
        send: async () => ({
          status: 200,
          body: { kind: 'Namespace', metadata: { uid: `uid-${name}` } },
          retryAfterSeconds: undefined,
        }),
        stream: unreachable,
        close: async () => undefined,
      }),
      forget: () => undefined,
    },
  });
  const keyRoutes = keyHandlers(store, keys, access, {
    kind: 'file',
    rotate: async (rotated, keyring, audit) => {
      await rotateKek(rotated, keyring, kekFromBytes(randomBytes(32)), audit);
    },
  });
  const egress: OpenEgress = async () => createEgress({ allow: [], allowLoopback: false });
  const profiles = new Profiles(store, access, keys, egress);
  const owned = new OwnedSecrets({ store, secrets, reader, writes: new SecretWrites(null), maxValueBytes: 4096 });
  return { secrets, reader, importer, clusters, keyRoutes, profiles, owned };
}

/** What a handler gets of the guard, as far as these ask for it. */
function requestOf<Body>(caller: Caller, body: Body) {
  return {
    params: {},
    query: {},
    body,
    caller,
    scope: global,
    decision: { allow: true, because: [] },
    requestId: caller.requestId,
    network: caller.network,
    ifMatch: undefined,
    idempotency: undefined,
    signal,
    get asset(): never {
      throw new TypeError('There is none');
    },
  };
}

const cluster = (name: string) => ({ name, access: { kind: 'in-cluster' }, issuer: 'https://issuer.example' }) as const;
const profile = (name: string) => ({ name, type: 'AWS', settings: { region: 'eu-central-1' } }) as const;

/** All that the writes can change, but the records of what was refused and the sealings that were reserved. */
async function contentOf({ test: { store } }: AccessWorld): Promise<string> {
  const { db } = store;
  const tables = await Promise.all([
    db.selectFrom('clusters').selectAll().orderBy('id').execute(),
    db.selectFrom('cluster_targets').selectAll().orderBy('namespace').execute(),
    db.selectFrom('profiles').selectAll().orderBy('id').execute(),
    db.selectFrom('scopes').selectAll().orderBy('id').execute(),
    db.selectFrom('secrets').selectAll().orderBy('id').execute(),
    db.selectFrom('secret_versions').select(['secret_id', 'version']).orderBy('secret_id').orderBy('version').execute(),
    db.selectFrom('secret_assignments').selectAll().orderBy('secret_id').orderBy('scope_id').execute(),
    db.selectFrom('key_terms').select(['id', 'state', 'kek_id']).orderBy('id').execute(),
    db.selectFrom('installation').select(['kek_id', 'recovery_confirmed_at']).execute(),
  ]);
  return JSON.stringify(tables);
}
