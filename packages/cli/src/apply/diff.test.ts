import { describe, expect, it } from 'vitest';
import { changesBetween } from './diff.ts';

describe('the difference of two objects', () => {
  it('is by field, and by name in lists of what has one', () => {
    const before = {
      sizes: { driverCores: 1 },
      command: ['a', 'b'],
      environment: [
        { name: 'A', secret: { scope: 'domain', source: 'managed', key: 'a' } },
        { name: 'B', secret: { scope: 'global', source: 'managed', key: 'b' } },
      ],
    };
    const after = {
      sizes: { driverCores: 2 },
      command: ['a'],
      environment: [
        { name: 'B', secret: 'secret://global/managed/b' },
        { name: 'C', secret: { scope: 'domain', source: 'vault', key: 'app/c', field: 'password' } },
      ],
    };
    expect(changesBetween(before, after)).toEqual([
      { field: 'command', from: 'a b', to: 'a' },
      { field: 'environment.A', from: 'secret://domain/managed/a' },
      { field: 'environment.C', to: 'secret://domain/vault/app/c#password' },
      { field: 'sizes.driverCores', from: '1', to: '2' },
    ]);
    expect(changesBetween(before, structuredClone(before))).toEqual([]);
  });

  it('says of PEM what it is', () => {
    const certificate = (content: string) => `-----BEGIN CERTIFICATE-----\n${content}\n-----END CERTIFICATE-----\n`;
    const of = (content: string) => ({ caCertificate: certificate(content) });
    const shown = 'certificate, 3 lines of PEM';
    expect(changesBetween({}, of('AAAA'))).toEqual([{ field: 'caCertificate', to: shown }]);
    expect(changesBetween(of('AAAA'), of('BBBB'))).toEqual([
      { field: 'caCertificate', from: shown, to: `another: ${shown}` },
    ]);
  });

  it.each([
    [
      'a plain variable',
      { environment: [{ name: 'A', value: 'hidden-1' }] },
      { environment: [{ name: 'A', value: 'hidden-2' }] },
    ],
    ['a file', { files: [{ name: 'a', content: 'hidden-1' }] }, { files: [{ name: 'a', content: 'hidden-2' }] }],
    ['a typed credential', { secretKey: { set: 'hidden-1' } }, { secretKey: { set: 'hidden-2' } }],
    [
      'a text whose name says so',
      { config: { authType: { password: 'hidden-1' } } },
      { config: { authType: { password: 'hidden-2' } } },
    ],
    [
      'a list of tokens',
      { settings: { apiTokens: ['hidden-1', 'hidden-2'] } },
      { settings: { apiTokens: ['hidden-3'] } },
    ],
    ['a list in a list', { settings: { passwords: [['hidden-1']] } }, { settings: { passwords: [['hidden-2']] } }],
    ['a token', { settings: { apiToken: 'hidden-1' } }, { settings: { apiToken: 'hidden-2' } }],
  ])('shows no text of %s', (_what, before, after) => {
    for (const [from, to] of [
      [before, after],
      [{}, after],
      [before, {}],
    ]) {
      const changes = changesBetween(from, to);
      expect(changes).toHaveLength(1);
      expect(JSON.stringify(changes)).not.toContain('hidden');
    }
  });

  it('shows the references that are in a list of such a name', () => {
    const tokens = ['secret://domain/managed/a', 'hidden', '${secrets.b}'];
    const [change, ...more] = changesBetween({}, { tokens });
    expect(more).toEqual([]);
    expect(change).toEqual({ field: 'tokens', to: 'secret://domain/managed/a a plain value ${secrets.b}' });
    expect(changesBetween({}, { names: ['a', 'b'] })).toEqual([{ field: 'names', to: 'a b' }]);
  });

  it('shows what a credential field refers to', () => {
    const secret = { scope: 'domain', source: 'managed', key: 'storage-config.raw.secretKey' };
    expect(
      changesBetween({ secretKey: { isSet: true, isOwned: true, secret } }, { secretKey: { isSet: false } }),
    ).toEqual([{ field: 'secretKey', from: 'secret://domain/managed/storage-config.raw.secretKey (its own)' }]);
    expect(changesBetween({ secretKey: { isSet: false } }, { secretKey: { secret } })).toEqual([
      { field: 'secretKey', to: 'secret://domain/managed/storage-config.raw.secretKey' },
    ]);
  });

  it('shows the placeholder of a credential field, and no other text that is typed there', () => {
    const value = '${secrets.key}';
    const held = { secretKey: { isSet: true, placeholder: value, isOwned: false } };
    for (const sent of [{ set: value }, { value }]) expect(changesBetween(held, { secretKey: sent })).toEqual([]);
    expect(changesBetween(held, { secretKey: { value: 'hidden' } })).toEqual([
      { field: 'secretKey', from: value, to: 'a plain value' },
    ]);
  });
});
