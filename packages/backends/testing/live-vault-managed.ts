import { SecretValue } from '@strongroom/crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Vault } from '../../../servers/vault-server.ts';
import { checksNeeding, describeConformance } from './conformance.ts';
import type { FaultProxy } from './fault-proxy.ts';
import {
  type AppRole,
  auditedRequests,
  createAppRole,
  foreignThings,
  liveFaults,
  liveParts,
  managedPlace,
  must,
  writePolicy,
  type VaultProduct,
} from './live-vault.ts';
import { type ConformanceContext, keyKinds, type KeyKind } from '../src/conformance/index.ts';
import type { Egress } from '../src/egress/index.ts';
import { startCall } from '../src/vault/client.ts';
import { KvReader } from '../src/vault/kv.ts';
import { openClient } from '../src/vault/open.ts';
import { type ManagedScope, openManagedVault } from '../src/vault-managed/index.ts';
import { ManagedWriter } from '../src/vault-managed/writer.ts';

/** The conformance suite over a managed store, and what is its own. */
export function describeManagedVault({ name, start }: VaultProduct): void {
  describe(`${name}, under a managed store`, () => {
    let vault: Vault;
    let role: AppRole;
    let proxy: FaultProxy;
    let faults: ConformanceContext['faults'];
    const egresses: Egress[] = [];
    const signal = AbortSignal.timeout(500_000);
    const any = { kind: 'any' } as const;

    beforeAll(async () => {
      vault = await start();
      role = await createAppRole(vault, 'writer', writePolicy);
      ({ proxy, faults } = await liveFaults(vault, { writer: writePolicy }));
    });

    afterAll(async () => {
      await Promise.all(egresses.map((egress) => egress.close()));
      await proxy.close();
      await vault.stop();
    });

    function open(scope: ManagedScope) {
      const parts = liveParts({ secretId: role.secretId });
      egresses.push(parts.egress);
      const path = '/v1/secret/data/managed/poc';
      return openManagedVault({ address: proxy.url, path, scope, authentication: role.authentication }, parts);
    }

    const folder = 'managed/poc-domain-finance';
    const taken = (Object.keys(keyKinds) as KeyKind[]).filter((kind) => !['nested', 'deep', 'percent'].includes(kind));

    describeConformance(
      'the managed store in Vault',
      () => ({
        open: () => Promise.resolve(open({ kind: 'domain', name: 'finance' })),
        place: managedPlace(vault, folder),
        keyKinds: taken,
        shapes: ['text', 'binary', 'fields'],
        unknownVersion: '99999@2020-01-01T00:00:00Z',
        ...(faults === undefined ? {} : { faults }),
        foreign: foreignThings(vault, folder),
        credentials: [SecretValue.fromText(role.secretId)],
      }),
      { expectedSkips: [...checksNeeding('asked versions'), 'list-known-keys', 'limit-of-container'] },
    );

    const text = (value: string) => ({ value: SecretValue.fromText(value), shape: 'text' }) as const;

    describe('the managed store in Vault', () => {
      it('keeps each scope in a folder of its own, Global in the legacy layout', async () => {
        const scopes: ManagedScope[] = [
          { kind: 'global' },
          { kind: 'admin' },
          { kind: 'domain', name: 'admin' },
          { kind: 'domain', name: 'Größe_1' },
        ];
        for (const scope of scopes)
          await open(scope).put('SCOPED', text(JSON.stringify(scope)), { signal, expect: any, intentId: 'i' });
        const folders = ['poc', 'poc-admin', 'poc-domain-admin', 'poc-domain-_47r_c3_b6_c3_9fe_5f1'];
        const values = await Promise.all(
          folders.map(async (name) => {
            const { data } = await must<{ data: { value: string } }>(
              vault,
              'GET',
              `secret/data/managed/${name}/SCOPED`,
            );
            return JSON.parse(data.value) as unknown;
          }),
        );
        expect(values).toEqual(scopes);
      });

      it('reads a legacy entry and its fields beside the value, and changes it only once it is adopted', async () => {
        const global = open({ kind: 'global' });
        await must(vault, 'POST', 'secret/data/managed/poc/Legacy%20Key', { data: { value: 'old', note: 'kept' } });
        await must(vault, 'POST', 'secret/metadata/managed/poc/Legacy%20Key', { custom_metadata: { team: 'data' } });
        const key = 'Legacy Key';
        const entry = await global.get(key, { signal });
        expect([entry?.shape, entry?.value.revealText(), entry?.intentId]).toEqual(['text', 'old', undefined]);
        expect((await global.listUnmarked({ signal, limit: 100 })).items.map((item) => item.key)).toContain(key);
        expect((await global.list({ signal, limit: 100 })).items.map((item) => item.key)).not.toContain(key);
        for (const expect_ of [any, { kind: 'version', version: entry?.version ?? '' }] as const) {
          const refusal = { code: 'state_conflict', hint: expect.stringContaining('strongroom store adopt') };
          await expect(global.put(key, text('new'), { signal, expect: expect_, intentId: 'i' })).rejects.toMatchObject(
            refusal,
          );
          await expect(global.delete(key, { signal, expect: expect_ })).rejects.toMatchObject(refusal);
        }

        expect(await global.adopt(key, { signal })).toBe(true);
        expect(await global.adopt(key, { signal })).toBe(false);
        expect((await global.get(key, { signal }))?.version).toBe(entry?.version);
        await global.put(key, text('new'), { signal, expect: any, intentId: 'i2' });
        const { data } = await must<{ data: object }>(vault, 'GET', 'secret/data/managed/poc/Legacy%20Key');
        expect(data).toMatchObject({ value: 'new', note: 'kept' });
        const metadata = await must(vault, 'GET', 'secret/metadata/managed/poc/Legacy%20Key');
        expect(metadata).toMatchObject({ custom_metadata: { team: 'data', 'strongroom-managed': 'true' } });
        await expect(global.adopt('nothing', { signal })).rejects.toMatchObject({ code: 'not_found' });
      });

      it('does not take an edit from outside for a write of its own, though it carries the mark along', async () => {
        const store = open({ kind: 'global' });
        await store.put('EDITED', text('ours'), { signal, expect: any, intentId: 'mine' });
        const path = 'secret/data/managed/poc/EDITED';
        const { data } = await must<{ data: object }>(vault, 'GET', path);
        await must(vault, 'POST', path, { data: { ...data, value: 'theirs' } });
        const entry = await store.get('EDITED', { signal });
        expect([entry?.value.revealText(), entry?.intentId]).toEqual(['theirs', undefined]);
        const expectation = { kind: 'intent', intentId: 'mine' } as const;
        await expect(
          store.put('EDITED', text('again'), { signal, expect: expectation, intentId: 'next' }),
        ).rejects.toMatchObject({ code: 'version_conflict' });
      });

      it('does not take a secret that was made anew for the one before it', async () => {
        const store = open({ kind: 'global' });
        const { version } = await store.put('ANEW', text('first'), { signal, expect: any, intentId: 'a' });
        await store.delete('ANEW', { signal, expect: { kind: 'version', version } });
        const second = await store.put('ANEW', text('second'), { signal, expect: { kind: 'absent' }, intentId: 'b' });
        expect(second.version.split('@')[0]).toBe(version.split('@')[0]);
        const stale = { kind: 'version', version } as const;
        await expect(store.delete('ANEW', { signal, expect: stale })).rejects.toMatchObject({
          code: 'version_conflict',
        });
        expect(await store.get('ANEW', { signal, version })).toBeNull();
      });

      it('finishes a deletion that was cut off, and leaves it to its beginner at first', async () => {
        const store = open({ kind: 'global' });
        await store.put('HALF', text('x'), { signal, expect: any, intentId: 'a' });
        const mark = { intentId: '', version: 2, place: 'secret/managed/poc/HALF', shape: 'deleted' };
        await must(vault, 'POST', 'secret/data/managed/poc/HALF', { data: { _strongroom: JSON.stringify(mark) } });
        expect(await store.get('HALF', { signal })).toBeNull();
        const busy = { code: 'backend_unavailable' };
        await expect(store.delete('HALF', { signal, expect: any })).rejects.toMatchObject(busy);
        const absent = { signal, expect: { kind: 'absent' }, intentId: 'b' } as const;
        await expect(store.put('HALF', text('y'), absent)).rejects.toMatchObject(busy);
        expect((await vault.request('GET', 'secret/metadata/managed/poc/HALF')).status).toBe(200);

        await new Promise((resolve) => setTimeout(resolve, 2100));
        const parts = liveParts({ secretId: role.secretId });
        egresses.push(parts.egress);
        const client = openClient(
          { address: proxy.url, authentication: role.authentication },
          ['GET', 'LIST', 'POST', 'DELETE'],
          parts,
        );
        const writer = new ManagedWriter(new KvReader(client, 'secret'), Date.now, 1000);
        await writer.delete('managed/poc/HALF', any, startCall(signal));
        expect((await vault.request('GET', 'secret/metadata/managed/poc/HALF')).status).toBe(404);
        expect((await store.put('HALF', text('y'), absent)).version).toMatch(/^1@/);
      });

      it('fills no metadata that somebody else prepared', async () => {
        const store = open({ kind: 'global' });
        await must(vault, 'POST', 'secret/metadata/managed/poc/PREPARED', { custom_metadata: { team: 'other' } });
        await expect(store.put('PREPARED', text('x'), { signal, expect: any, intentId: 'a' })).rejects.toMatchObject({
          code: 'state_conflict',
        });
      });

      it('says in a tried connection what the policy lacks', async () => {
        await must(vault, 'POST', 'sys/policies/acl/writer', {
          policy: writePolicy.replace('"create", "read", "update"]', '"read"]'),
        });
        const lines = await open({ kind: 'global' }).check({ signal });
        await must(vault, 'POST', 'sys/policies/acl/writer', { policy: writePolicy });
        expect(lines.map(({ step, outcome }) => `${step} ${outcome}`).slice(-3)).toEqual([
          'list ok',
          'read ok',
          'write failed',
        ]);
        expect(lines.at(-1)?.message).toContain('update on secret/data/managed/poc');
        const good = await open({ kind: 'global' }).check({ signal });
        expect(good.every(({ outcome }) => outcome === 'ok')).toBe(true);
      });

      it('touches nothing outside of its folders, by Vault’s own record', () => {
        const written = auditedRequests(vault).filter(({ operation }) => !['read', 'list'].includes(operation));
        const others = written.filter(
          ({ path }) => !/^secret\/(?:data|metadata)\/managed\/poc(?:-[^/]+)?\/[^/]+$/.test(path),
        );
        expect([...new Set(others.map(({ path }) => path))].toSorted()).toEqual([
          'auth/approle/login',
          'sys/capabilities-self',
        ]);
      });
    });
  });
}
