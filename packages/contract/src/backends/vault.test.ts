import fc from 'fast-check';
import { Value } from 'typebox/value';
import { describe, expect, it } from 'vitest';
import { StrongroomError } from '../errors.ts';
import { formatVaultPath, parseVaultPath } from '../vault-path.ts';
import { vaultBackend } from './vault.ts';

const valid = {
  address: 'https://vault.example.com:8200',
  path: '/v1/secret/data/production',
  authentication: { method: 'app-role', roleId: 'b7c1' },
};
const check = (change: object): boolean => Value.Check(vaultBackend.settings, { ...valid, ...change });
const control = String.fromCodePoint(0);

describe('the settings of a Vault integration', () => {
  it.each([
    {},
    { namespace: 'teams/finance', layout: 'fields' },
    { address: 'http://127.0.0.1:8200/' },
    { address: 'https://[::1]:8200' },
    { address: 'https://gateway.example.com/vault' },
    { path: '/v1/team/kv/data/app/db' },
    { path: '/v1/secret/data' },
    { path: '/v1/secret/data/schlüssel 1#a?b' },
    { authentication: { method: 'token' } },
    { authentication: { method: 'kubernetes', role: 'strongroom', audience: 'vault' } },
    { authentication: { method: 'jwt', role: 'strongroom', mount: 'oidc/ci' } },
    { caCertificate: '-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n' },
  ])('may be %j', (change) => {
    expect(check(change)).toBe(true);
  });

  it.each([
    'ftp://vault:8200',
    'https://user:word@vault',
    'https://vault?x',
    'https://vault/#x',
    'https://vault/../x',
    'https://vault/%2e',
    String.raw`https://vault\x`,
    'https://vault x',
    `https://${'v'.repeat(2048)}`,
    '',
  ])('refuse the address %j', (address) => {
    expect(check({ address })).toBe(false);
  });

  it.each(['', '..', 'a//b', '/a', 'a/', 'a%2fb', String.raw`a\b`, 'a\r\nX-Vault-Token: x', 'a b', 'ä'])(
    'refuse the namespace %j',
    (namespace) => {
      expect(check({ namespace })).toBe(false);
    },
  );

  it.each([
    { layout: 'other' },
    { token: 'a' },
    { authentication: { method: 'token', token: 'a' } },
    { authentication: { method: 'userpass' } },
    { authentication: { method: 'app-role' } },
    { authentication: { method: 'jwt', role: 'a', mount: '../sys' } },
    { authentication: { method: 'jwt', role: 'a', mount: 'a\nb' } },
    { caCertificate: '-----BEGIN PRIVATE KEY-----\nTUlJ\n-----END PRIVATE KEY-----\n' },
  ])('refuse %j', (change) => {
    expect(check(change)).toBe(false);
  });

  it('name a credential for each method that needs one', () => {
    const needed = Object.values(vaultBackend.credentials).flatMap(({ methods }) => [...methods]);
    expect(needed.toSorted()).toEqual(['app-role', 'jwt', 'token']);
  });
});

describe('a path in Vault', () => {
  const badPaths = [
    '',
    'secret/data/a',
    '/v2/secret/data/a',
    '/v1/data/a',
    '/v1/secret/metadata/a',
    '/v1/secret/data/',
    '/v1//data/a',
    '/v1/secret/data/a//b',
    '/v1/secret/data/.',
    '/v1/secret/data/a/../b',
    '/v1/../data/a',
    '/v1/secret/data/%2e%2e/b',
    String.raw`/v1/secret/data/a\b`,
    '/v1/secret/data/a\r\nb',
    `/v1/secret/data/a${control}`,
    '/v1/secret/data/a\u2028b',
    `/v1/secret/data/${'a'.repeat(254)}`,
    `/v1/secret/data${'/abcdefg'.repeat(200)}`,
  ];

  it.each(badPaths)('is refused alike by the schema and by the program: %j', (path) => {
    expect(check({ path })).toBe(false);
    expect(() => parseVaultPath(path)).toThrow(expect.objectContaining({ code: 'validation_failed' }));
  });

  it('is split at the first segment data behind the mount', () => {
    expect(parseVaultPath('/v1/team/kv/data/app/data/x')).toEqual({ mount: 'team/kv', path: 'app/data/x' });
    expect(parseVaultPath('/v1/data/data')).toEqual({ mount: 'data', path: '' });
  });

  it('is taken by the schema exactly when the program takes it, and comes out as it went in', () => {
    const piece = fc.constantFrom('data', 'a', 'kv', '.', '..', '', '%41', 'a\\', 'ä', ' ', '#', '?', 'metadata');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
        const path = `/v1/${pieces.join('/')}`;
        let parsed: string | null = null;
        try {
          parsed = formatVaultPath(parseVaultPath(path));
        } catch (error) {
          if (!(error instanceof StrongroomError)) throw error;
        }
        expect(check({ path })).toBe(parsed !== null);
        if (parsed !== null) expect(parsed).toBe(path);
      }),
    );
  });
});
