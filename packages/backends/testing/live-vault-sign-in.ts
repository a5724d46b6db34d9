import type { Server } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Vault } from '../../../servers/vault-server.ts';
import { auditedRequests, createAppRole, must, readPolicy, type VaultProduct } from './live-vault.ts';
import { mountJwt, mountKubernetes, serviceAccountToken, startTokenReviews, TokenIssuer } from './live-vault-login.ts';
import { LiveReader } from './live-vault-reader.ts';

/** All ways to sign in, and what becomes of tokens. */
export function describeVaultSignIn({ name, start }: VaultProduct): void {
  describe(`${name}, as it lets an integration sign in`, () => {
    const signal = AbortSignal.timeout(500_000);
    const issuer = new TokenIssuer();
    let reader: LiveReader;
    let vault: Vault;
    let canary: string;
    let reviews: Server;

    beforeAll(async () => {
      reader = await LiveReader.start({ start });
      ({ vault, canary } = reader);
    });
    afterAll(async () => {
      reviews.close();
      await reader.stop();
    });

    const open = (...change: Parameters<LiveReader['open']>) => reader.open(...change);

    /** Log-ins since a moment, by Vault's record. */
    function countLogIns(): () => number {
      const logIns = () => auditedRequests(vault).filter(({ path: asked }) => asked.endsWith('/login')).length;
      const before = logIns();
      return () => logIns() - before;
    }

    const revokeTokens = (mount: string) => must(vault, 'PUT', `sys/leases/revoke-prefix/auth/${mount}/login`, {});

    describe('signing in', () => {
      it('by AppRole is one log-in for all who wait, and for those after them', async () => {
        const backend = await open();
        const logIns = countLogIns();
        const entries = await Promise.all(Array.from({ length: 20 }, () => backend.get('db', { signal })));
        expect(entries.map((entry) => entry?.value.revealText())).toEqual(Array.from({ length: 20 }, () => canary));
        await backend.list({ signal, limit: 10 });
        expect(logIns()).toBe(1);
      });

      it('by JWT, at a mount of several segments', async () => {
        await mountJwt(vault, issuer, 'reader');
        const jwt = issuer.issue({ sub: 'pipeline', aud: 'vault' });
        const authentication = { method: 'jwt', role: 'strongroom', mount: 'ci/jwt' } as const;
        const backend = await open({ authentication }, { jwt });
        expect((await backend.get('db', { signal }))?.value.revealText()).toBe(canary);
        const wrong = await open({ authentication }, { jwt: issuer.issue({ sub: 'pipeline', aud: 'other' }) });
        await expect(wrong.get('db', { signal })).rejects.toMatchObject({ code: 'backend_denied' });
      });

      it('by the ServiceAccount of this server, only with a token for the right audience', async () => {
        const token = serviceAccountToken(issuer, 'vault');
        reviews = await startTokenReviews((reviewed) => reviewed === token);
        await mountKubernetes(vault, reviews, 'reader');
        const authentication = { method: 'kubernetes', role: 'strongroom', audience: 'vault' } as const;
        const backend = await open({ authentication }, { serviceAccountToken: token });
        expect((await backend.get('db', { signal }))?.value.revealText()).toBe(canary);

        const logIns = countLogIns();
        const foreign = await open(
          { authentication },
          { serviceAccountToken: serviceAccountToken(issuer, 'kubernetes') },
        );
        await expect(foreign.get('db', { signal })).rejects.toMatchObject({ code: 'backend_denied' });
        expect(logIns()).toBe(0);
      });

      it('with a token is no log-in; a token that is revoked is refused', async () => {
        const created = await vault.request<{ auth: { client_token: string } }>('POST', 'auth/token/create', {
          policies: ['reader'],
        });
        const token = created.body.auth.client_token;
        const backend = await open({ authentication: { method: 'token' } }, { token });
        const logIns = countLogIns();
        expect((await backend.get('db', { signal }))?.value.revealText()).toBe(canary);
        expect((await backend.check({ signal })).every(({ outcome }) => outcome === 'ok')).toBe(true);
        await must(vault, 'POST', 'auth/token/revoke', { token });
        await expect(backend.get('db', { signal })).rejects.toMatchObject({ code: 'backend_denied' });
        const lines = await backend.check({ signal });
        expect(lines.find(({ outcome }) => outcome === 'failed')).toMatchObject({
          step: 'login',
          code: 'backend_denied',
        });
        expect(logIns()).toBe(0);
      });

      it('that is refused says so and nothing of the credential', async () => {
        const secretId = `canary-${crypto.randomUUID()}`;
        const backend = await open({}, { secretId });
        const error: unknown = await backend.get('db', { signal }).catch((caught: unknown) => caught);
        expect(error).toMatchObject({ code: 'backend_denied', message: 'Vault refused the log-in.' });
        expect(JSON.stringify(error)).not.toContain(secretId);
        const lines = await backend.check({ signal });
        expect(lines.map(({ step, outcome }) => `${step} ${outcome}`)).toEqual([
          'address ok',
          'reachable ok',
          'tls ok',
          'state ok',
          'login failed',
          'store skipped',
          'list skipped',
          'read skipped',
        ]);
      });
    });

    describe('a token', () => {
      it('that was revoked is had anew with one log-in, for however many use it', async () => {
        const backend = await open();
        await backend.get('db', { signal });
        const logIns = countLogIns();
        await revokeTokens('approle');
        const entries = await Promise.all(Array.from({ length: 8 }, () => backend.get('db', { signal })));
        expect(entries.every((entry) => entry?.value.revealText() === canary)).toBe(true);
        expect(logIns()).toBe(1);
      });

      it('that may not read a key is had anew once, and then it is the policy', async () => {
        await must(vault, 'POST', 'sys/policies/acl/narrow', {
          policy: `path "secret/data/live/db" { capabilities = ["read"] }`,
        });
        const narrow = await createAppRole(vault, 'narrow', `path "secret/data/live/db" { capabilities = ["read"] }`);
        const backend = await open({ authentication: narrow.authentication }, { secretId: narrow.secretId });
        await backend.get('db', { signal });
        const logIns = countLogIns();
        await expect(backend.get('other', { signal })).rejects.toMatchObject({ code: 'backend_denied' });
        expect(logIns()).toBe(1);
        await expect(backend.get('other', { signal })).rejects.toMatchObject({ code: 'backend_denied' });
        expect(logIns()).toBe(1);
        const keys = ['db', ...Array.from({ length: 40 }, (_, index) => `denied-${index}`)];
        const answers = await backend.getMany(keys, { signal });
        expect([...answers.values()].filter((answer) => answer instanceof Error)).toHaveLength(40);
        expect(logIns()).toBe(2);
        await revokeTokens('approle');
        expect((await backend.get('db', { signal }))?.value.revealText()).toBe(canary);
        expect(logIns()).toBe(3);
      });

      it('is left before its lease ends, and for a new one when its uses are up', async () => {
        const short = await createAppRole(vault, 'short', readPolicy, { token_ttl: '1s', token_max_ttl: '1s' });
        const backend = await open({ authentication: short.authentication }, { secretId: short.secretId });
        const logIns = countLogIns();
        await backend.get('db', { signal });
        await new Promise((resolve) => setTimeout(resolve, 1100));
        await backend.get('db', { signal });
        expect(logIns()).toBe(2);

        const few = await createAppRole(vault, 'few', readPolicy, { token_num_uses: 3 });
        const limited = await open({ authentication: few.authentication }, { secretId: few.secretId });
        const before = auditedRequests(vault).length;
        for (let read = 0; read < 7; read += 1) await limited.get('db', { signal });
        const asked = auditedRequests(vault).slice(before);
        expect(asked.map(({ operation }) => operation)).toEqual([
          'update',
          'read',
          'read',
          'read',
          'update',
          'read',
          'read',
          'read',
          'update',
          'read',
        ]);
      });
    });

    describe('what Vault’s own record says of all this', () => {
      it('is reading, listing and logging in, and nothing else', () => {
        expect(reader.requestKinds()).toEqual([
          'list',
          'read',
          'update auth/approle/login',
          'update auth/ci/jwt/login',
          'update auth/kubernetes/login',
        ]);
      });
    });
  });
}
