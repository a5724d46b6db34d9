import { beforeAll, describe, expect, it } from 'vitest';
import type { OpenStoreForTest } from '../../../testing/stores.ts';
import { actorOf } from '../../identities/actor.ts';
import type { Store } from '../../store/store.ts';
import { defaultBundleIdOf } from '../default-bundle.ts';
import { createAccess } from '../service.ts';
import { AccessWorld, codeOf } from './access-world.ts';

export function snapshotsSuite(openStore: OpenStoreForTest): void {
  describe('snapshots', () => {
    let world: AccessWorld;
    beforeAll(async () => {
      world = await AccessWorld.open(openStore, 'snapshots');
    });

    it('reads a snapshot through groups, and reads it again only after a change', async () => {
      const { access, members, finance } = world;
      const olga = await world.caller('olga');
      const before = await access.snapshot(world.id('con'));
      expect(before?.domains.has(finance.id)).toBe(false);
      expect(await access.snapshot(world.id('con'))).toBe(before);
      await members.add(olga, finance, { principal: 'group:constructor', preset: 'VIEWER' });
      const after = await access.snapshot(world.id('con'));
      expect(after?.domains.get(finance.id)?.presets).toEqual(['VIEWER']);
      expect(after?.actorIds).toEqual(new Set([world.id('con'), world.id('constructor')]));
      await members.delete(olga, finance, 'group:constructor');
      expect((await access.snapshot(world.id('con')))?.domains.has(finance.id)).toBe(false);
      expect(await access.snapshot('usr_absent')).toBeNull();
    });

    it('shares one load among callers and keeps a bounded number', async () => {
      const { access } = world;
      await world.members.put(await world.caller('olga'), world.finance, 'user:vic', 'VIEWER');
      const [first, second] = await Promise.all([access.snapshot(world.id('vic')), access.snapshot(world.id('vic'))]);
      expect(first).toBe(second);
    });

    it('finds a scope only for who sees it; absent, deleted and foreign are the same', async () => {
      const { access, finance, other } = world;
      const gone = await world.addDomain('gone');
      const root = await world.caller('root');
      await world.domains.delete(root, gone, { force: false });
      expect(world.deletedScopes).toContain(gone.id);
      const ann = await world.caller('ann');
      expect(await access.findScope(ann.snapshot, 'domain', finance.name)).toEqual(finance);
      for (const name of ['other-snapshots', 'gone', 'absent', 'FINANCE-snapshots', '__proto__', 'constructor', '']) {
        expect([name, await access.findScope(ann.snapshot, 'domain', name)]).toEqual([name, null]);
      }
      expect(await access.findScope(ann.snapshot, 'admin', 'admin')).toBeNull();
      expect((await access.findScope(ann.snapshot, 'global', 'global'))?.id).toBe('dom_global');
      expect(await access.findScope(root.snapshot, 'domain', other.name)).toEqual(other);
      expect(await access.findScope(root.snapshot, 'domain', 'gone')).toBeNull();
    });

    it('records a refusal before it answers: 403 for what is seen, 404 for what is not', async () => {
      const { access, finance, other } = world;
      const ann = await world.caller('ann');
      expect(await codeOf(access.require(ann, 'secret.manage', { kind: 'scope', scope: finance }))).toBe(
        'permission_missing',
      );
      expect(await codeOf(access.require(ann, 'secret.list', { kind: 'scope', scope: other }))).toBe('not_found');
      expect(await codeOf(access.refuseAbsent(ann, 'secret.list', 'absent'))).toBe('not_found');
      const [seen] = await world.audit('secret.manage', 'denied');
      expect(seen).toMatchObject({
        principal: { id: ann.id, name: 'user:ann' },
        because: ['missing:MANAGE_SECRETS'],
        scope: { name: finance.name },
        network: '192.0.2.1',
      });
      expect((await world.audit('secret.list', 'denied')).map((line) => line.because)).toEqual([
        ['no-standing'],
        ['no-standing'],
      ]);
    });

    it('refuses a commit that was decided before a change', async () => {
      const { members, finance, test } = world;
      const olga = await world.caller('olga');
      const ann = await world.caller('ann');
      const grant = await members.addGrant(olga, finance, { principal: 'user:ann', permission: 'MANAGE_SECRETS' });
      const before = await world.caller('ann');
      expect(world.access.decide(before.snapshot, 'secret.manage', { kind: 'scope', scope: finance }).allow).toBe(true);
      await members.deleteGrant(olga, finance, grant.id);
      const commit = test.store.execute('access.record', undefined, {
        expectAuthorisationRevision: before.snapshot.revision,
      });
      expect(await codeOf(commit)).toBe('version_conflict');
      // Decided again, the same change is refused.
      expect(
        await codeOf(
          world.access.decided(ann, (current) =>
            world.access.require(current, 'secret.manage', { kind: 'scope', scope: finance }),
          ),
        ),
      ).toBe('permission_missing');
    });

    it('takes what it reads for no newer than what this process knows, so that it is not mixed with older things', async () => {
      const { store } = world.test;
      const known = (await store.authorisationRevision()) - 1;
      const lagging: Store = {
        dialect: store.dialect,
        db: store.db,
        first: (statement, parameters) => store.first(statement, parameters),
        query: (name, args) => store.query(name, args),
        execute: (name, args, options) => store.execute(name, args, options),
        authorisationRevision: async () => known,
        knownRevision: () => known,
        now: () => Date.now(),
        close: async () => undefined,
      };
      const read = await createAccess(lagging).snapshot(world.id('ann'));
      expect(read?.revision).toBe(known);
      expect(
        await codeOf(store.execute('access.record', undefined, { expectAuthorisationRevision: read?.revision ?? 0 })),
      ).toBe('version_conflict');
    });

    it('decides a change again when others change access at the same time', async () => {
      const { members, finance } = world;
      const olga = await world.caller('olga');
      await Promise.all(
        ['CREATE_COMPUTE', 'CREATE_NOTEBOOK', 'CREATE_BUNDLE'].map((permission) =>
          members.addGrant(olga, finance, { principal: 'user:bob', permission: permission as 'CREATE_BUNDLE' }),
        ),
      );
      const standing = (await world.caller('bob')).snapshot.domains.get(finance.id);
      expect(standing?.permissions).toEqual(new Set(['CREATE_COMPUTE', 'CREATE_NOTEBOOK', 'CREATE_BUNDLE']));
    });

    it('takes an owner’s stale authority back in a race', async () => {
      const { members, finance } = world;
      const root = await world.caller('root');
      await members.put(root, finance, 'user:mia', 'OWNER');
      const mia = await world.caller('mia');
      const [demoted, promoted] = await Promise.allSettled([
        members.put(root, finance, 'user:mia', 'MAINTAINER'),
        members.put(mia, finance, 'user:vic', 'OWNER'),
      ]);
      expect(demoted.status).toBe('fulfilled');
      const isVicOwner = (await world.caller('vic')).snapshot.domains.get(finance.id)?.presets.includes('OWNER');
      expect(isVicOwner).toBe(promoted.status === 'fulfilled');
      await members.put(root, finance, 'user:vic', 'VIEWER');
      expect(await codeOf(members.put(mia, finance, 'user:vic', 'OWNER'))).toBe('permission_missing');
    });

    it('disables at once', async () => {
      const { test } = world;
      await world.addUser('dan');
      await world.members.add(await world.caller('olga'), world.finance, { principal: 'user:dan', preset: 'OWNER' });
      await test.store.execute('identities.changePrincipal', {
        actor: actorOf(await world.caller('root')),
        kind: 'user',
        id: world.id('dan'),
        isDisabled: true,
      });
      const dan = await world.caller('dan');
      expect(world.access.decide(dan.snapshot, 'secret.list', { kind: 'scope', scope: world.finance }).because).toEqual(
        ['disabled'],
      );
      expect(await codeOf(world.members.add(dan, world.finance, { principal: 'user:zed', preset: 'VIEWER' }))).toBe(
        'not_found',
      );
    });

    it('knows a Global secret’s assignments', async () => {
      const { access, finance, other, test } = world;
      const secretId = await world.addSecret('global', 'smtp-password');
      const target = { scope: 'global', secretId, key: 'smtp-password' } as const;
      expect((await access.secretAsset(finance, target)).isAssigned).toBe(true);
      await test.store.execute('test.assign', { secretId, scopeId: other.id });
      expect((await access.secretAsset(finance, target)).isAssigned).toBe(false);
      expect((await access.secretAsset(other, target)).isAssigned).toBe(true);
      expect((await access.secretAsset(finance, { ...target, scope: 'domain' })).isAssigned).toBeUndefined();
      // The domain's end does not turn an assignment to it into one to all.
      const brief = await world.addDomain('brief');
      const lone = await world.addSecret('global', 'lone');
      await test.store.execute('test.assign', { secretId: lone, scopeId: brief.id });
      await world.domains.delete(await world.caller('root'), brief, { force: false });
      expect((await access.secretAsset(finance, { scope: 'global', secretId: lone, key: 'lone' })).isAssigned).toBe(
        false,
      );
    });

    it('finds a configuration with its bundle', async () => {
      const { access, finance, other } = world;
      const id = await world.addJob(finance, 'nightly');
      expect(await access.configurationAsset(finance, 'spark-job', 'nightly')).toEqual({
        type: 'spark-job',
        id,
        name: 'nightly',
        scope: finance,
        bundleIds: [defaultBundleIdOf(finance.id)],
      });
      expect(await access.configurationAsset(other, 'spark-job', 'nightly')).toBeNull();
      expect(await access.configurationAsset(finance, 'notebook', 'nightly')).toBeNull();
    });
  });
}
