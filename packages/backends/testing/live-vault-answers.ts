import { readFileSync } from 'node:fs';
import { formatKekText, kekFromBytes, SecretValue } from '@strongroom/crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Vault } from '../../../servers/vault-server.ts';
import {
  type AppRole,
  auditedRequests,
  createAppRole,
  createNamespace,
  must,
  readPolicy,
  type VaultProduct,
} from './live-vault.ts';
import { LiveReader } from './live-vault-reader.ts';
import { openManagedVault } from '../src/vault-managed/index.ts';
import { readVaultKek } from '../src/vault/index.ts';

/** What it says of secrets and of itself, and that an integration only reads and lists. */
export function describeVaultAnswers({ name, start, hasNamespaces, hasStandby }: VaultProduct): void {
  describe(`${name}, as it answers an integration`, () => {
    const signal = AbortSignal.timeout(500_000);
    let reader: LiveReader;
    let vault: Vault;
    let role: AppRole;
    let canary: string;

    beforeAll(async () => {
      reader = await LiveReader.start({ start });
      ({ vault, role, canary } = reader);
    });
    afterAll(async () => {
      await reader.stop();
    });

    const open = (...change: Parameters<LiveReader['open']>) => reader.open(...change);

    describe('what Vault says', () => {
      it('tells deleted, destroyed, missing and forbidden apart, and has older versions', async () => {
        const backend = await open();
        for (const value of ['one', 'two', 'three'])
          await must(vault, 'POST', 'secret/data/live/versions', { data: { value } });
        await must(vault, 'POST', 'secret/destroy/live/versions', { versions: [2] });
        await must(vault, 'DELETE', 'secret/data/live/versions');
        const at = (version: string) => backend.get('versions', { signal, version });
        expect((await at('1'))?.value.revealText()).toBe('one');
        await expect(at('2')).rejects.toMatchObject({ code: 'backend_deleted' });
        await expect(backend.get('versions', { signal })).rejects.toMatchObject({ code: 'backend_deleted' });
        expect(await at('4')).toBeNull();
        await must(vault, 'POST', 'secret/undelete/live/versions', { versions: [3] });
        expect(await backend.get('versions', { signal })).toMatchObject({
          version: '3',
          shape: 'text',
          fieldNames: null,
        });
        expect(await backend.get('missing', { signal })).toBeNull();
      });

      it('of a KV version 1 mount is refused, where version 2 would say that nothing is there', async () => {
        await must(vault, 'POST', 'sys/policies/acl/v1', {
          policy: 'path "kv1/*" { capabilities = ["read", "list"] }',
        });
        const v1 = await createAppRole(vault, 'v1', 'path "kv1/*" { capabilities = ["read", "list"] }');
        await must(vault, 'POST', 'kv1/data/app/db', { data: 'x', metadata: 'y' });
        const backend = await open(
          { path: '/v1/kv1/data/app', authentication: v1.authentication },
          { secretId: v1.secretId },
        );
        const refusal = { code: 'not_supported', message: expect.stringContaining('version 1') as string };
        await expect(backend.get('nothing', { signal })).rejects.toMatchObject(refusal);
        await expect(backend.get('db', { signal })).rejects.toMatchObject(refusal);
        await expect(backend.list({ signal, limit: 10 })).rejects.toMatchObject(refusal);
        expect((await backend.check({ signal })).find(({ outcome }) => outcome === 'failed')).toMatchObject({
          step: 'store',
          code: 'not_supported',
        });
      });

      it('of no mount at all is never absence', async () => {
        const backend = await open({ path: '/v1/nowhere/data/app' });
        await expect(backend.get('db', { signal })).rejects.toMatchObject({ code: 'backend_denied' });
        const root = await open(
          { path: '/v1/nowhere/data/app', authentication: { method: 'token' } },
          { token: vault.rootToken },
        );
        await expect(root.get('db', { signal })).rejects.toMatchObject({ code: 'backend_malformed' });
      });

      it('is asked in the namespace, but for its state', async () => {
        const namespace = 'teams/finance';
        const inside = hasNamespaces ? await createNamespace(vault, namespace) : vault;
        const value = hasNamespaces ? `canary-${crypto.randomUUID()}` : canary;
        const own = hasNamespaces ? await createAppRole(inside, 'reader', readPolicy) : role;
        await must(inside, 'POST', 'secret/data/live/db', { data: { value } });
        const before = auditedRequests(vault).length;
        const backend = await open({ namespace, authentication: own.authentication }, { secretId: own.secretId });
        expect((await backend.check({ signal })).filter(({ outcome }) => outcome !== 'ok')).toEqual([]);
        expect((await backend.get('db', { signal }))?.value.revealText()).toBe(value);
        const headers = auditedRequests(vault)
          .slice(before)
          .map((request) => request.headers?.['x-vault-namespace']);
        expect(headers.length).toBeGreaterThan(3);
        expect(headers.every((values) => values?.[0] === 'teams/finance')).toBe(true);
      });

      it('to a policy without list, or without subkeys, is a line of its own', async () => {
        const narrow = await createAppRole(vault, 'data-only', `path "secret/data/live*" { capabilities = ["read"] }`);
        const credentials = { secretId: narrow.secretId };
        const keys = await open({ authentication: narrow.authentication }, credentials);
        const failed = async (backend: typeof keys) =>
          (await backend.check({ signal })).filter(({ outcome }) => outcome !== 'ok');
        expect(await failed(keys)).toMatchObject([{ step: 'list', outcome: 'failed', code: 'backend_denied' }]);
        const fields = await open(
          { authentication: narrow.authentication, layout: 'fields', path: `${LiveReader.path}/db` },
          credentials,
        );
        expect(await failed(fields)).toMatchObject([
          { step: 'list', code: 'backend_denied', message: expect.stringContaining('secret/subkeys') as string },
        ]);
        expect((await fields.get('value', { signal }))?.value.revealText()).toBe(canary);
      });
    });

    describe('the policies of the guide', () => {
      const guide = readFileSync(new URL('../../../docs/guides/vault.md', import.meta.url), 'utf8');
      const policies = [...guide.matchAll(/^```hcl\n(.*?)^```$/gms)].map(([, policy = '']) => policy);

      it.each([
        ['secret-per-key', 'production', ['app', 'team/db']],
        ['fields', 'production/app', ['password', 'user']],
      ] as const)('are enough for the layout %s', async (layout, below, keys) => {
        const [perKey = '', fields = ''] = policies;
        const guided = await createAppRole(vault, `guided-${layout}`, layout === 'fields' ? fields : perKey);
        await must(vault, 'POST', 'secret/data/production/app', { data: { user: 'app', password: canary } });
        await must(vault, 'POST', 'secret/data/production/team/db', { data: { value: canary } });
        const backend = await open(
          { layout, path: `/v1/secret/data/${below}`, authentication: guided.authentication },
          { secretId: guided.secretId },
        );
        expect((await backend.check({ signal })).filter(({ outcome }) => outcome !== 'ok')).toEqual([]);
        expect((await backend.list({ signal, limit: 10 })).items).toEqual(keys.map((key) => ({ key })));
      });

      it('are enough for a managed store', async () => {
        const guided = await createAppRole(vault, 'guided-managed', policies[2] ?? '');
        const parts = reader.parts({ secretId: guided.secretId });
        const store = openManagedVault(
          {
            address: vault.url,
            caCertificate: vault.caCertificate ?? '',
            path: '/v1/secret/data/iomete/poc',
            scope: { kind: 'admin' },
            authentication: guided.authentication,
          },
          parts,
        );
        expect((await store.check({ signal })).filter(({ outcome }) => outcome !== 'ok')).toEqual([]);
        const content = { shape: 'text', value: SecretValue.fromText(canary) } as const;
        const { version } = await store.put('KEY', content, { signal, expect: { kind: 'absent' }, intentId: 'i' });
        expect((await store.list({ signal, limit: 10 })).items).toMatchObject([{ key: 'KEY' }]);
        await store.delete('KEY', { signal, expect: { kind: 'version', version } });
        expect(await store.get('KEY', { signal })).toBeNull();
      });
    });

    describe('the server', () => {
      it('that is sealed meanwhile is backend_sealed, and serves again when it is unsealed', async () => {
        const backend = await open();
        await backend.get('db', { signal });
        await vault.seal();
        await expect(backend.get('db', { signal })).rejects.toMatchObject({ code: 'backend_sealed' });
        const lines = await backend.check({ signal });
        expect(lines.find(({ outcome }) => outcome === 'failed')).toMatchObject({
          step: 'state',
          message: expect.stringContaining('sealed') as string,
        });
        await vault.unseal();
        await expect
          .poll(() =>
            backend.get('db', { signal }).then(
              () => 'there',
              () => 'not yet',
            ),
          )
          .toBe('there');
      });

      const state = async (address: string) => {
        const backend = await open({ address });
        const line = (await backend.check({ signal })).find(({ step }) => step === 'state');
        return { line, get: await backend.get('db', { signal }).catch((error: unknown) => error) };
      };

      it('that is not initialised is told apart from one that is sealed', async () => {
        const empty = await start({ state: 'uninitialised' });
        expect(await state(empty.url)).toMatchObject({
          line: {
            outcome: 'failed',
            code: 'backend_sealed',
            message: expect.stringContaining('not initialised') as string,
          },
          get: { code: 'backend_sealed', message: 'Vault is not initialised.' },
        });
        await empty.stop();
      });

      // A second node of OpenBao would have to be joined to the first over Raft.
      it.runIf(hasStandby)('that is a standby node is told apart from one that is sealed', async () => {
        const pair = await start({ standby: true });
        expect(await state(pair.standbyUrl ?? '')).toMatchObject({
          line: { outcome: 'ok', message: expect.stringContaining('standby') as string },
          get: { code: 'backend_sealed', message: expect.stringContaining('standby') as string },
        });
        await pair.stop();
      });

      it('is trusted by its own authority alone', async () => {
        const other = await start({ tls: true, state: 'uninitialised' });
        const caCertificate = other.caCertificate ?? '';
        await other.stop();
        const backend = await open({ caCertificate });
        await expect(backend.get('db', { signal })).rejects.toMatchObject({ code: 'backend_unavailable', step: 'tls' });
        expect((await backend.check({ signal })).map(({ step, outcome }) => `${step} ${outcome}`).slice(0, 4)).toEqual([
          'address ok',
          'reachable ok',
          'tls failed',
          'state skipped',
        ]);
      });
    });

    describe('the key-encryption key', () => {
      const bytes = Buffer.alloc(32, 7);
      const settings = () => ({
        address: vault.url,
        caCertificate: vault.caCertificate ?? '',
        path: '/v1/secret/data/live/kek',
        field: 'kek',
        authentication: role.authentication,
      });

      it('is read from a field of a secret', async () => {
        await must(vault, 'POST', 'secret/data/live/kek', { data: { kek: formatKekText(bytes), other: canary } });
        const parts = reader.parts({ secretId: role.secretId });
        const kek = await readVaultKek(settings(), parts, signal);
        expect(kek.id).toBe(kekFromBytes(bytes).id);
        for (const field of ['none', 'other']) {
          const error: unknown = await readVaultKek({ ...settings(), field }, parts, signal).catch(
            (caught: unknown) => caught,
          );
          expect(error).toMatchObject({ code: 'key_unavailable' });
          expect(String(error)).not.toContain(canary);
        }
      });
    });

    describe('what Vault’s own record says of all this', () => {
      it('is reading, listing and logging in, and nothing else', () => {
        expect(reader.requestKinds()).toEqual(['list', 'read', 'update auth/approle/login']);
      });
    });
  });
}
