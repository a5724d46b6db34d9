import type { SecretProperties } from '@azure/keyvault-secrets';
import { expect, it } from 'vitest';
import { latestVersion } from './latest-version.ts';

const origin = 'https://finance.vault.azure.net';
const place = { key: 'db', origin, versionPattern: /^[0-9a-z]{1,64}$/ };
const at = (second: number): Date => new Date(1_760_000_000_000 + second * 1000);
const version = (id: string, second: number, change: Partial<SecretProperties> = {}): SecretProperties => ({
  name: 'db',
  version: id,
  vaultUrl: origin,
  createdOn: at(second),
  enabled: true,
  ...change,
});

it('is the one that was made last, in whatever order they come', () => {
  expect(latestVersion([version('b', 2), version('c', 3), version('a', 1)], place)).toEqual({ version: 'c' });
  expect(latestVersion([version('a', 3), version('b', 3), version('c', 4)], place)).toEqual({ version: 'c' });
});

it('is not told of two of one second, of none, or without times', () => {
  expect(latestVersion([version('a', 3), version('b', 1), version('c', 3)], place)).toBeUndefined();
  expect(latestVersion([], place)).toBeUndefined();
  const { createdOn: _createdOn, ...timeless } = version('a', 1);
  expect(latestVersion([timeless], place)).toBeUndefined();
});

it('is disabled when the last one is, though older ones are not', () => {
  expect(latestVersion([version('a', 1), version('b', 2, { enabled: false })], place)).toBe('disabled');
  expect(latestVersion([version('a', 1, { enabled: false }), version('b', 2)], place)).toEqual({ version: 'b' });
});

it('is none of another name, and what is not its own is refused', () => {
  expect(latestVersion([version('a', 1, { name: 'DB' })], place)).toBeNull();
  const foreign: readonly (SecretProperties | null)[] = [
    null,
    version('../a', 1),
    version('a', 1, { name: 'other' }),
    version('a', 1, { vaultUrl: 'https://elsewhere.vault.azure.net' }),
  ];
  for (const properties of foreign)
    expect(() => latestVersion([properties], place)).toThrow(expect.objectContaining({ code: 'backend_malformed' }));
});
