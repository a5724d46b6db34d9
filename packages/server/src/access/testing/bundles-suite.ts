import { beforeAll, describe, expect, it } from 'vitest';
import type { OpenStoreForTest } from '../../../testing/stores.ts';
import { BundleAssets } from '../bundle-assets.ts';
import { Bundles } from '../bundles.ts';
import { AccessWorld, codeOf } from './access-world.ts';

export function bundlesSuite(openStore: OpenStoreForTest): void {
  describe('bundles', () => {
    let world: AccessWorld;
    beforeAll(async () => {
      world = await AccessWorld.open(openStore, 'bundles');
    });

    it('narrow a secret: whoever is in no bundle that holds it may not use it', async () => {
      const { bundles, assets, finance } = world;
      const olga = await world.caller('olga');
      expect(await world.mayUse('ann', finance, 'Payroll-db')).toBe(true);
      expect(await world.mayUse('vic', finance, 'Payroll-db')).toBe(false);
      await bundles.create(olga, finance, { name: 'payroll' });
      const added = await assets.add(olga, finance, 'payroll', { type: 'secret', prefix: 'Payroll-' });
      expect(added).toMatchObject({ type: 'secret', prefix: 'payroll-', scope: 'domain' });
      for (const name of ['ann', 'mia', 'root'])
        expect([name, await world.mayUse(name, finance, 'PAYROLL-DB')]).toEqual([name, false]);
      expect(await world.mayUse('ann', finance, 'payrol')).toBe(true);
      // Its owner has everything on its assets.
      expect(await world.mayUse('olga', finance, 'payroll-db')).toBe(true);
      const grant = await bundles.putGrant(olga, finance, 'payroll', {
        principal: 'user:ann',
        assetType: 'secret',
        permissions: ['USE'],
      });
      expect(await world.mayUse('ann', finance, 'payroll-db')).toBe(true);
      expect(await world.mayUse('bob', finance, 'payroll-db')).toBe(false);
      await bundles.deleteGrant(olga, finance, 'payroll', grant.id);
      expect(await world.mayUse('ann', finance, 'payroll-db')).toBe(false);
    });

    it('hold a secret together: USE through any of them, and through default when that names it, too', async () => {
      const { bundles, assets, finance } = world;
      const olga = await world.caller('olga');
      await bundles.create(olga, finance, { name: 'readers' });
      await assets.add(olga, finance, 'readers', { type: 'secret', key: 'payroll-report' });
      await bundles.putGrant(olga, finance, 'readers', {
        principal: 'user:bob',
        assetType: 'secret',
        permissions: ['USE'],
      });
      expect(await world.mayUse('bob', finance, 'payroll-report')).toBe(true);
      expect(await world.mayUse('ann', finance, 'payroll-report')).toBe(false);
      const open = await assets.add(olga, finance, 'default', { type: 'secret', key: 'payroll-report' });
      expect(await world.mayUse('ann', finance, 'payroll-report')).toBe(true);
      await assets.delete(olga, finance, 'default', open.id);
      expect(await world.mayUse('ann', finance, 'payroll-report')).toBe(false);
    });

    it('keep selectors of Global secrets apart from the domain’s', async () => {
      const { bundles, assets, access, finance } = world;
      const olga = await world.caller('olga');
      await bundles.create(olga, finance, { name: 'global-mail' });
      await assets.add(olga, finance, 'global-mail', { type: 'secret', key: 'smtp', scope: 'global' });
      const ann = await world.caller('ann');
      const globalAsset = await access.secretAsset(finance, { scope: 'global', secretId: 'sec_g', key: 'smtp' });
      expect(access.decide(ann.snapshot, 'secret.use', { kind: 'asset', asset: globalAsset }).allow).toBe(false);
      expect(await world.mayUse('ann', finance, 'smtp')).toBe(true);
    });

    it('are not a way to a secret: adding one takes the owner of where it is now', async () => {
      const { bundles, assets, members, finance } = world;
      const olga = await world.caller('olga');
      await members.addGrant(olga, finance, { principal: 'user:bob', permission: 'CREATE_BUNDLE' });
      await members.addGrant(olga, finance, { principal: 'user:bob', permission: 'MANAGE_ACCESS' });
      const bob = await world.caller('bob');
      await bundles.create(bob, finance, { name: 'bobs' });
      for (const input of [
        { key: 'payroll-db' },
        { prefix: 'pay' },
        { prefix: '' },
        { key: 'other-key' },
        { key: 'smtp', scope: 'global' as const },
      ]) {
        expect(await codeOf(assets.add(bob, finance, 'bobs', { type: 'secret', ...input }))).toBe('permission_missing');
      }
      expect(
        await codeOf(
          bundles.putGrant(bob, finance, 'payroll', {
            principal: 'user:bob',
            assetType: 'secret',
            permissions: ['USE'],
          }),
        ),
      ).toBe('permission_missing');
      expect(await codeOf(bundles.update(bob, finance, 'payroll', { owner: 'user:bob' }))).toBe('permission_missing');
      expect(await codeOf(bundles.delete(bob, finance, 'payroll', { force: true }))).toBe('permission_missing');
      expect(await world.mayUse('bob', finance, 'payroll-db')).toBe(false);
      // What bob owns he may split and share.
      const given = await assets.add(olga, finance, 'bobs', { type: 'secret', prefix: 'bob-' });
      await bundles.create(bob, finance, { name: 'bobs-inner' });
      expect((await assets.add(bob, finance, 'bobs-inner', { type: 'secret', prefix: 'Bob-inner-' })).prefix).toBe(
        'bob-inner-',
      );
      expect(await codeOf(assets.add(bob, finance, 'bobs-inner', { type: 'secret', prefix: 'bo' }))).toBe(
        'permission_missing',
      );
      expect((await assets.move(bob, finance, 'bobs', given.id, 'bobs-inner')).id).toBe(given.id);
      expect(await codeOf(assets.move(bob, finance, 'bobs', given.id, 'bobs-inner'))).toBe('not_found');
    });

    it('move a job by the owner of the bundle it is in', async () => {
      const { bundles, assets, access, finance } = world;
      const olga = await world.caller('olga');
      const id = await world.addJob(finance, 'nightly');
      const mia = await world.caller('mia');
      await bundles.create(mia, finance, { name: 'mias' });
      expect(await codeOf(assets.add(mia, finance, 'mias', { type: 'spark-job', name: 'nightly' }))).toBe(
        'permission_missing',
      );
      expect(await assets.add(olga, finance, 'mias', { type: 'spark-job', name: 'nightly' })).toMatchObject({
        id,
        type: 'spark-job',
        name: 'nightly',
      });
      const asset = await access.configurationAsset(finance, 'spark-job', 'nightly');
      if (asset === null) throw new TypeError('the job is there');
      const may = async (name: string) =>
        access.decide((await world.caller(name)).snapshot, 'spark-job.run', { kind: 'asset', asset }).allow;
      expect([await may('ann'), await may('mia'), await may('olga')]).toEqual([false, true, false]);
      const listed = async (name: string) =>
        (await assets.list(await world.caller(name), finance, 'mias', {})).items.map((item) => item.name);
      expect([await listed('ann'), await listed('mia'), await listed('olga')]).toEqual([[], ['nightly'], ['nightly']]);
      const take = async (name: string) => codeOf(assets.delete(await world.caller(name), finance, 'mias', id));
      expect(await take('ann')).toBe('not_found');
      await bundles.putGrant(await world.caller('mia'), finance, 'mias', {
        principal: 'user:ann',
        assetType: 'spark-job',
        permissions: ['RUN', 'VIEW'],
      });
      expect([await may('ann'), await may('bob')]).toEqual([true, false]);
      expect([await listed('ann'), await listed('bob')]).toEqual([['nightly'], []]);
      expect([await take('ann'), await take('bob')]).toEqual(['permission_missing', 'not_found']);
      await assets.delete(await world.caller('mia'), finance, 'mias', id);
      expect(await codeOf(assets.delete(olga, finance, 'default', id))).toBe('state_conflict');
      expect(await codeOf(assets.add(olga, finance, 'mias', { type: 'spark-job', name: 'absent' }))).toBe('not_found');
    });

    it('bring no strangers into the domain by their owner alone', async () => {
      const { bundles, finance } = world;
      const mia = await world.caller('mia');
      const grant = { assetType: 'secret', permissions: ['USE'] } as const;
      expect(await codeOf(bundles.putGrant(mia, finance, 'mias', { principal: 'user:zed', ...grant }))).toBe(
        'permission_missing',
      );
      expect(await codeOf(bundles.update(mia, finance, 'mias', { owner: 'user:zed' }))).toBe('permission_missing');
      expect((await world.caller('zed')).snapshot.domains.has(finance.id)).toBe(false);
      // Nor is told who there is: neither their owner, nor whoever only sees the bundle.
      for (const name of ['mia', 'ann'])
        for (const absent of ['user:zed', 'user:who-is-not-there', 'service-account:who-is-not-there']) {
          const asker = await world.caller(name);
          const asked = [
            bundles.create(asker, finance, { name: 'theirs', owner: absent }),
            bundles.update(asker, finance, 'mias', { owner: absent }),
            bundles.putGrant(asker, finance, 'mias', { principal: absent, ...grant }),
          ];
          const codes = await Promise.all(asked.map(codeOf));
          expect([name, absent, ...codes]).toEqual([name, absent, ...asked.map(() => 'permission_missing')]);
        }
      expect(
        (await bundles.update(mia, finance, 'mias', { description: 'for the night', owner: 'user:ann' })).owner,
      ).toBe('user:ann');
      expect(await codeOf(bundles.update(mia, finance, 'mias', { owner: 'user:mia' }))).toBe('permission_missing');
      expect(
        (await bundles.update(await world.caller('olga'), finance, 'mias', { owner: 'group:constructor' })).owner,
      ).toBe('group:constructor');
      expect((await world.caller('con')).snapshot.domains.get(finance.id)?.ownedBundleIds.size).toBe(1);
    });

    it('check names, revisions and what a type can be granted', async () => {
      const { bundles, assets, finance } = world;
      const olga = await world.caller('olga');
      expect(await codeOf(bundles.create(olga, finance, { name: 'default' }))).toBe('already_exists');
      expect(await codeOf(bundles.get(olga, finance, '__proto__'))).toBe('not_found');
      expect((await bundles.create(olga, finance, { name: 'constructor' })).name).toBe('constructor');
      const { revision } = await bundles.update(olga, finance, 'constructor', { description: 'a' }, 1);
      expect(revision).toBe(2);
      expect(await codeOf(bundles.update(olga, finance, 'constructor', { description: 'b' }, 1))).toBe(
        'revision_mismatch',
      );
      expect(await codeOf(bundles.delete(olga, finance, 'constructor', { force: false, expectedRevision: 1 }))).toBe(
        'revision_mismatch',
      );
      expect(await codeOf(bundles.delete(olga, finance, 'default', { force: true }))).toBe('state_conflict');
      expect(await codeOf(bundles.update(olga, finance, 'default', { owner: 'user:olga' }))).toBe('state_conflict');
      expect(
        await codeOf(
          bundles.putGrant(olga, finance, 'constructor', {
            principal: 'user:ann',
            assetType: 'secret',
            permissions: ['RUN'],
          }),
        ),
      ).toBe('validation_failed');
      for (const input of [
        { type: 'secret' },
        { type: 'secret', key: 'a', prefix: 'b' },
        { type: 'secret', name: 'a' },
        { type: 'spark-job', key: 'a' },
        { type: 'integration', key: 'a' },
      ] as const) {
        expect(await codeOf(assets.add(olga, finance, 'constructor', input))).toBe('validation_failed');
      }
      await assets.add(olga, finance, 'constructor', { type: 'secret', key: 'Same' });
      expect(await codeOf(assets.add(olga, finance, 'constructor', { type: 'secret', key: 'sAME' }))).toBe(
        'already_exists',
      );
      expect(await codeOf(bundles.delete(olga, finance, 'constructor', { force: false }))).toBe('in_use');
      await bundles.delete(olga, finance, 'constructor', { force: true });
      expect(await world.mayUse('ann', finance, 'same')).toBe(true);
    });

    it('of somebody deleted belong to the owners of the domain', async () => {
      const { bundles, members, finance, test } = world;
      const olga = await world.caller('olga');
      await world.addUser('oto');
      await members.add(olga, finance, { principal: 'user:oto', preset: 'MAINTAINER' });
      await bundles.create(await world.caller('oto'), finance, { name: 'otos' });
      const actor = { principal: 'system', principalName: 'system' };
      await test.store.execute('identities.deletePrincipal', { actor, kind: 'user', id: world.id('oto') });
      expect((await bundles.get(olga, finance, 'otos')).owner).toBeNull();
      expect((await bundles.update(olga, finance, 'otos', { owner: 'user:mia' })).owner).toBe('user:mia');
      await bundles.delete(olga, finance, 'otos', { force: false });
    });

    it('replace a grant of the same principal and type', async () => {
      const { bundles, finance } = world;
      const olga = await world.caller('olga');
      const first = await bundles.putGrant(olga, finance, 'default', {
        principal: 'user:vic',
        assetType: 'spark-job',
        permissions: ['RUN', 'VIEW'],
      });
      const second = await bundles.putGrant(olga, finance, 'default', {
        principal: 'user:vic',
        assetType: 'spark-job',
        permissions: ['VIEW'],
      });
      expect(second.id).toBe(first.id);
      expect((await bundles.listGrants(olga, finance, 'default', {})).items.map((item) => item.permissions)).toEqual([
        ['VIEW'],
      ]);
    });

    it('are limited in number, in what they name and in what is granted on them; what replaces something always fits', async () => {
      const { other, access } = world;
      const { store, keys } = world.test;
      const eve = await world.caller('eve');
      const most = { bundles: 2, members: 0, grants: 0, bundle_grants: 1, bundle_assets: 1 };
      const bundles = new Bundles(store, access, keys, most);
      const assets = new BundleAssets(store, access, keys, most);
      const refused = expect.objectContaining({ code: 'limit_exceeded' });
      await bundles.create(eve, other, { name: 'second' });
      for (const make of [bundles.create.bind(bundles), bundles.previewCreation.bind(bundles)])
        await expect(make(eve, other, { name: 'third' })).rejects.toEqual(refused);
      const grant = (assetType: 'secret' | 'notebook') =>
        ({ principal: 'user:eve', assetType, permissions: [assetType === 'secret' ? 'USE' : 'VIEW'] }) as const;
      const held = await bundles.putGrant(eve, other, 'second', grant('secret'));
      for (const put of [bundles.putGrant.bind(bundles), bundles.previewGrant.bind(bundles)]) {
        await expect(put(eve, other, 'second', grant('notebook'))).rejects.toMatchObject({
          code: 'limit_exceeded',
          message: 'A domain has at most 1 grants on its bundles.',
        });
        expect(await put(eve, other, 'second', grant('secret'))).toMatchObject({ id: held.id });
      }
      await assets.add(eve, other, 'second', { type: 'secret', key: 'one' });
      for (const add of [assets.add.bind(assets), assets.preview.bind(assets)])
        await expect(add(eve, other, 'second', { type: 'secret', key: 'two' })).rejects.toEqual(refused);
      await bundles.delete(eve, other, 'second', { force: true });
    });

    it('list with what the caller may do, in pages', async () => {
      const { bundles, assets, finance } = world;
      const ann = await world.caller('ann');
      const page = await bundles.list(ann, finance, { limit: 2 });
      expect(page.items.map((item) => item.name)).toEqual(['bobs', 'bobs-inner']);
      const next = await bundles.list(ann, finance, { limit: 2, cursor: page.nextCursor ?? '' });
      expect(next.items[0]).toMatchObject({ name: 'default', owner: null, isDefault: true });
      expect(next.items[0]?.actions.every((action) => !action.allowed && action.reason !== undefined)).toBe(true);
      const olgas = (await bundles.list(await world.caller('olga'), finance, { q: 'PAYROLL' })).items;
      expect(olgas.map((item) => [item.name, item.owner])).toEqual([['payroll', 'user:olga']]);
      expect(olgas[0]?.actions.every((action) => action.allowed)).toBe(true);
      const listed = await assets.list(ann, finance, 'default', { limit: 1 });
      expect(listed.items.map((item) => item.name)).toEqual(['nightly']);
      expect(listed.nextCursor).toBeUndefined();
      expect(await codeOf(assets.list(ann, finance, 'payroll', { cursor: page.nextCursor ?? '' }))).toBe(
        'cursor_invalid',
      );
    });
  });
}
