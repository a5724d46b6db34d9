import { StrongroomError } from '@strongroom/contract/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ManagedScope } from '../vault-managed/scope-path.ts';
import { formatIdentity, type Identity, isDataKey, objectName, scopeObjectName } from './names.ts';

const dnsSubdomain = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
const global = { kind: 'global' } as const;
const admin = { kind: 'admin' } as const;
const domain = (name: string): ManagedScope => ({ kind: 'domain', name });

function nameOf(key: string, options: Partial<Identity> = {}, naming: 'unique' | 'openmetadata' = 'unique'): string {
  return objectName({ prefix: '', clusterName: 'strongroom', scope: global, key, ...options }, naming);
}

const hash = String.raw`-[0-9a-f]{12}$`;

describe('the name of one key’s object', () => {
  it.each(['unique', 'openmetadata'] as const)('is the documented one (%s)', (naming) => {
    const openMetadata = { clusterName: 'openmetadata' };
    expect(nameOf('bot/name/config/jwttoken', openMetadata, naming)).toBe('openmetadata-bot-name-config-jwttoken');
    expect(nameOf('database/myservice/password', openMetadata, naming)).toBe(
      'openmetadata-database-myservice-password',
    );
  });

  it('is made as OpenMetadata makes it, from names as they are there', () => {
    const options = { clusterName: 'openmetadata', prefix: 'Team_A' };
    expect(nameOf('database/myService/password', options, 'openmetadata')).toBe(
      'team-a-openmetadata-database-myservice-password',
    );
    expect(nameOf('-a--_b./c-', {}, 'openmetadata')).toBe('strongroom-a-b-c');
    expect(nameOf(`${'k'.repeat(200)}/${'k'.repeat(200)}`, {}, 'openmetadata')).toHaveLength(253);
    expect(() => nameOf('鍵', {}, 'openmetadata')).toThrow(expect.objectContaining({ code: 'validation_failed' }));
  });

  it.each(['unique', 'openmetadata'] as const)(
    'is the documented one in the domain that stands for it (%s)',
    (naming) => {
      const install = { clusterName: 'openmetadata', openMetadataDomain: 'finance', scope: domain('finance') };
      expect(nameOf('database-myservice-password', install, naming)).toBe('openmetadata-database-myservice-password');
      expect(nameOf('bot-name-config-jwttoken', install, naming)).toBe('openmetadata-bot-name-config-jwttoken');
      expect(nameOf('x', { ...install, scope: domain('sales') }, naming)).toBe('openmetadata-domain-sales-x');
      expect(nameOf('domain-sales-x', install, 'unique')).toMatch(new RegExp(hash));
    },
  );

  it('stays plain where it is the key’s own', () => {
    expect(nameOf('db-password')).toBe('strongroom-db-password');
    expect(nameOf('db-password', { scope: domain('finance') })).toBe('strongroom-domain-finance-db-password');
    expect(nameOf('db-password', { scope: admin, prefix: 'prod' })).toBe('prod-strongroom-admin-db-password');
  });

  it.each([
    ['my_db', {}],
    ['my.db', {}],
    ['My-DB', {}],
    ['db--password', {}],
    ['鍵', {}],
    [`${'k'.repeat(200)}/${'k'.repeat(200)}`, {}],
    ['a/b-c', {}],
    ['domain-finance-x', {}],
    ['domain/finance/x', {}],
    ['admin-x', {}],
    ['password', { scope: domain('finance-db') }],
    ['x-0123456789ab', {}],
    ['x', { prefix: 'A_B' }],
  ] as const)('has a hash for %j %j', (key, options) => {
    const name = nameOf(key, options);
    expect(name).toMatch(new RegExp(hash));
    expect(name.length).toBeLessThanOrEqual(253);
    expect(name).toMatch(dnsSubdomain);
  });

  it.each([
    '',
    '.',
    '..',
    'a/../b',
    'a//b',
    '/a',
    'a/',
    'a\0',
    'a\nb',
    'a%2fb',
    String.raw`a\b`,
    '\ud800',
    'k'.repeat(1025),
  ])('refuses %j', (key) => {
    expect(() => nameOf(key)).toThrow(expect.objectContaining({ code: 'validation_failed' }));
  });

  const word = fc.constantFrom(
    'a',
    'b',
    'A',
    'a-b',
    'a_b',
    'a.b',
    'admin',
    'domain',
    'finance',
    'é',
    '-',
    '0123456789ab',
  );
  const key = fc.array(word, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
  const hyphenated = fc.array(word, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('-'));
  const label = fc.constantFrom('admin', 'domain', 'finance', 'finance-db', 'a', 'a-b');
  const scope: fc.Arbitrary<ManagedScope> = fc.oneof(fc.constant(global), fc.constant(admin), label.map(domain));

  it('is never that of another scope’s key', () => {
    const identity = fc.record({ scope, key: fc.oneof(key, hyphenated) });
    const install = { prefix: '', clusterName: 'strongroom' };
    fc.assert(
      fc.property(identity, identity, (one, other) => {
        const [a, b] = [
          { ...install, ...one },
          { ...install, ...other },
        ];
        fc.pre(formatIdentity(a) !== formatIdentity(b));
        if (objectName(a, 'unique') !== objectName(b, 'unique')) return;
        // What is left is one scope's `a-b` and `a/b`, which the annotation tells apart: the second is refused.
        expect(a.scope).toEqual(b.scope);
        expect(a.key.replaceAll('/', '-')).toBe(b.key.replaceAll('/', '-'));
      }),
      { numRuns: 2000 },
    );
  });

  it('has an annotation that no other key has, whatever is in the settings', () => {
    const part = fc.constantFrom('', 'a', 'a/b', 'a%2Fb', '/');
    const identity = fc.record({ prefix: part, clusterName: part, scope, key });
    fc.assert(
      fc.property(identity, identity, (a, b) => {
        if (formatIdentity(a) === formatIdentity(b)) expect(a).toEqual(b);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the name of a scope’s object', () => {
  it('is IOMETE’s', () => {
    const nameIn = (scope: ManagedScope) => scopeObjectName('iomete', 'secret-store', scope);
    expect(nameIn(global)).toBe('iomete-secret-store');
    expect(nameIn(admin)).toBe('iomete-secret-store-admin');
    expect(nameIn(domain('finance'))).toBe('iomete-secret-store-finance');
    expect(scopeObjectName('iomete', 'vault-credentials', domain('finance'))).toBe('iomete-vault-credentials-finance');
  });

  it('keeps a domain called admin from the admin object', () => {
    expect(scopeObjectName('iomete', 'secret-store', domain('admin'))).toBe('iomete-secret-store-domain.admin');
  });

  it('is a name that Kubernetes takes, and no two domains’, or is refused', () => {
    const name = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 12 }),
      fc.constantFrom('admin', 'Admin', 'ADMIN', 'z', 'Z', 'z41', 'domain.admin', 'a.b', 'a-', '-a', 'é', '\ud800'),
    );
    const encoded = (text: string): string | null => {
      try {
        return scopeObjectName('iomete', 'secret-store', domain(text));
      } catch (error) {
        expect(error).toMatchObject({ code: 'validation_failed' });
        expect(error).toBeInstanceOf(StrongroomError);
        return null;
      }
    };
    fc.assert(
      fc.property(name, name, (a, b) => {
        const [one, other] = [encoded(a), encoded(b)];
        if (one !== null) {
          expect(one).toMatch(dnsSubdomain);
          expect(one).not.toBe('iomete-secret-store-admin');
          expect(one).not.toBe('iomete-secret-store');
        }
        if (one !== null && one === other) expect(a).toBe(b);
      }),
      { numRuns: 2000 },
    );
    expect(encoded('d'.repeat(300))).toBeNull();
  });
});

describe('a key of a Secret', () => {
  it.each(['a', 'A_b-c.d', '__proto__', '.hidden', 'k'.repeat(253)])('may be %j', (key) => {
    expect(isDataKey(key)).toBe(true);
  });
  it.each(['', '.', '..', '..a', 'a/b', 'a b', 'ä', 'a\n', 'k'.repeat(254)])('can not be %j', (key) => {
    expect(isDataKey(key)).toBe(false);
  });
});
