import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatKekText, kekFromText } from '@strongroom/crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTestServer, type TestServer } from '../../testing/app.ts';
import { type LoopbackVault, openLoopbackVault } from '../../testing/loopback-vault.ts';
import { Canaries } from '../../testing/canaries.ts';

const folder = mkdtempSync(join(tmpdir(), 'strongroom-kek-'));
const canaries = new Canaries();
const value = canaries.text('value');
const keys = Array.from({ length: 3 }, (_, n) => {
  const text = formatKekText(randomBytes(32)).trim();
  canaries.add(`kek ${n}`, text);
  return { text, id: kekFromText(text).id };
});
const [first, second, wrong] = keys as [(typeof keys)[0], (typeof keys)[0], (typeof keys)[0]];
let vault: LoopbackVault;
let test: TestServer;

const put = (fields: Readonly<Record<string, string>>): void => {
  vault.secrets.set('strongroom', fields);
};

beforeAll(async () => {
  vault = await openLoopbackVault();
  const credentialFile = join(folder, 'token');
  writeFileSync(credentialFile, `${vault.token}\n`, { mode: 0o600 });
  put({ kek: first.text });
  const settings = {
    STRONGROOM_KEK_SOURCE: 'vault',
    STRONGROOM_KEK_VAULT_ADDRESS: vault.url,
    STRONGROOM_KEK_VAULT_PATH: '/v1/secret/data/strongroom',
    STRONGROOM_KEK_VAULT_CREDENTIAL_FILE: credentialFile,
  };
  test = await startTestServer(settings, { canaries });
});
afterAll(async () => {
  await test.close();
  await vault.close();
  rmSync(folder, { recursive: true });
});

const source = async () => {
  const { keyEncryptionKey } = await test.call<{ readonly keyEncryptionKey: object }>('GET', '/v1/keys');
  return keyEncryptionKey;
};

it('takes the key from a field in Vault, and makes no file', async () => {
  expect(await source()).toEqual({ id: first.id, source: 'vault' });
  expect(existsSync(join(test.dataDir, 'kek'))).toBe(false);
  await test.call('POST', '/v1/global/secrets', { body: { key: 'kept', value } });
});

it('starts with no other key, and not without Vault, having changed nothing', async () => {
  put({ kek: wrong.text });
  await expect(test.restart()).rejects.toMatchObject({ code: 'key_unavailable' });
  put({ other: first.text });
  await expect(test.restart()).rejects.toMatchObject({ code: 'key_unavailable' });
  put({ kek: first.text });
  vault.trouble = 'sealed';
  await expect(test.restart()).rejects.toMatchObject({ code: 'backend_sealed' });
  vault.trouble = 'none';
  await test.restart();
  expect(await source()).toEqual({ id: first.id, source: 'vault' });
});

it('rotates to the key in the next field, which is the key until it is moved, and afterwards', async () => {
  expect((await test.request('POST', '/v1/keys/rotate', { body: { what: 'kek' } })).status).toBe(503);
  put({ kek: first.text, kek_next: second.text });
  await test.call('POST', '/v1/keys/rotate', { body: { what: 'kek' } });
  expect(await source()).toEqual({ id: second.id, source: 'vault' });
  await test.restart();
  expect(await source()).toEqual({ id: second.id, source: 'vault' });
  put({ kek: second.text });
  await test.restart();
  expect(await source()).toEqual({ id: second.id, source: 'vault' });
  await test.call('PUT', '/v1/global/secrets/kept/value', { body: { value } });
});

it('goes over to a file that has the same key, and back', async () => {
  const file = join(folder, 'kek');
  writeFileSync(file, `${second.text}\n`, { mode: 0o600 });
  const all = ['SOURCE', 'VAULT_ADDRESS', 'VAULT_PATH', 'VAULT_CREDENTIAL_FILE'];
  expect(all.every((name) => test.settings[`STRONGROOM_KEK_${name}`] !== undefined)).toBe(true);
  await test.restart({ STRONGROOM_KEK_SOURCE: 'file', STRONGROOM_KEK_FILE: file });
  expect(await source()).toEqual({ id: second.id, source: 'file' });
  await test.assertNoLeak();
});
