// @needs vault
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatKekText, kekFromText } from '@strongroom/crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Vault } from '../../../../servers/vault-server.ts';
import { startVault } from '../../../../servers/vault.ts';
import { startTestServer, type TestServer } from '../../testing/app.ts';
import { Canaries } from '../../testing/canaries.ts';

const folder = mkdtempSync(join(tmpdir(), 'strongroom-kek-'));
const canaries = new Canaries();
const [first, second, wrong] = ['first', 'second', 'wrong'].map((name) => {
  const text = formatKekText(randomBytes(32)).trim();
  canaries.add(`the ${name} key`, text);
  return { text, id: kekFromText(text).id };
}) as [Key, Key, Key];
const value = canaries.text('value');
const managed = canaries.plain('managed value');
/** What docs/guides/operating.md asks for. */
const readPolicy = 'path "secret/data/strongroom-kek" { capabilities = ["read"] }';
const storePolicy = `path "secret/data/managed*" { capabilities = ["create", "read", "update"] }
path "secret/metadata/managed*" { capabilities = ["create", "read", "update", "delete", "list"] }`;

interface Key {
  readonly text: string;
  readonly id: string;
}
interface Report {
  readonly checks: readonly {
    readonly id: string;
    readonly status: string;
    readonly finding: string;
    readonly hint?: string;
  }[];
}

let vault: Vault;
let test: TestServer;

async function must(method: string, path: string, body?: unknown): Promise<unknown> {
  const answer = await vault.request<{ data?: unknown; auth?: unknown } | null>(method, path, body);
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status}`);
  return answer.body?.auth ?? answer.body?.data;
}

/** A file with a token of a policy of the same name. */
async function tokenFile(name: string, policy: string): Promise<string> {
  await must('POST', `sys/policies/acl/${name}`, { policy });
  const { client_token: token } = (await must('POST', 'auth/token/create', { policies: [name] })) as {
    readonly client_token: string;
  };
  canaries.add(`the token of ${name}`, token);
  const file = join(folder, name);
  writeFileSync(file, `${token}\n`, { mode: 0o600 });
  return file;
}

/** Of the secret, by this test. */
let ownChanges = 0;
const change = (method: string, body?: object): Promise<unknown> => {
  ownChanges += 1;
  return must(method, 'secret/data/strongroom-kek', body);
};
const put = (fields: Readonly<Record<string, string>>) => change('POST', { data: fields });
const keyEncryptionKey = async () =>
  (await test.call<{ readonly keyEncryptionKey: object }>('GET', '/v1/keys')).keyEncryptionKey;
const doctorSays = async (id: string) =>
  (await test.call<Report>('GET', '/v1/doctor')).checks.find((check) => check.id === id);

beforeAll(async () => {
  vault = await startVault({ tls: true });
  await put({ kek: first.text });
  const caFile = join(folder, 'ca.pem');
  writeFileSync(caFile, vault.caCertificate ?? '');
  const settings = {
    STRONGROOM_KEK_SOURCE: 'vault',
    STRONGROOM_KEK_VAULT_ADDRESS: vault.url,
    STRONGROOM_KEK_VAULT_PATH: '/v1/secret/data/strongroom-kek',
    STRONGROOM_KEK_VAULT_CA_FILE: caFile,
    STRONGROOM_KEK_VAULT_CREDENTIAL_FILE: await tokenFile('kek-reader', readPolicy),
    STRONGROOM_STORES_GLOBAL: 'vault',
    STRONGROOM_VAULT_ADDRESS: vault.url,
    STRONGROOM_VAULT_PATH: '/v1/secret/data/managed',
    STRONGROOM_VAULT_CA_FILE: caFile,
    STRONGROOM_VAULT_CREDENTIAL_FILE: await tokenFile('store-writer', storePolicy),
  };
  test = await startTestServer(settings, { canaries });
});
afterAll(async () => {
  await test.close();
  await vault.stop();
  rmSync(folder, { recursive: true });
});

it('starts with the key of a field that it may only read, and again, and writes nothing there', async () => {
  expect(await keyEncryptionKey()).toEqual({ id: first.id, source: 'vault' });
  expect(existsSync(join(test.dataDir, 'kek'))).toBe(false);
  await test.call('POST', '/v1/admin/secrets', { body: { key: 'kept', value } });
  await test.call('POST', '/v1/global/secrets', { body: { key: 'managed', value: managed } });
  await test.restart();
  expect(await keyEncryptionKey()).toEqual({ id: first.id, source: 'vault' });
  expect(await doctorSays('kek-source')).toMatchObject({ status: 'ok', finding: expect.stringContaining(first.id) });
});

it('starts with no other key, none, and without being allowed to read it, and changes nothing', async () => {
  const refused = { code: 'key_unavailable' };
  await put({ kek: wrong.text });
  await expect(test.restart()).rejects.toMatchObject(refused);
  await put({ other: first.text });
  await expect(test.restart()).rejects.toMatchObject(refused);
  await change('DELETE');
  await expect(test.restart()).rejects.toMatchObject(refused);
  await put({ kek: first.text });
  const STRONGROOM_KEK_VAULT_CREDENTIAL_FILE = await tokenFile('nobody', 'path "none" {}');
  await expect(test.restart({ STRONGROOM_KEK_VAULT_CREDENTIAL_FILE })).rejects.toMatchObject({
    code: 'backend_denied',
  });
  await test.restart();
  expect(await keyEncryptionKey()).toEqual({ id: first.id, source: 'vault' });
});

it('rotates to the key in the next field, which is the key until it is moved, and afterwards', async () => {
  expect((await test.request('POST', '/v1/keys/rotate', { body: { what: 'kek' } })).status).toBe(503);
  await put({ kek: first.text, kek_next: second.text });
  await test.call('POST', '/v1/keys/rotate', { body: { what: 'kek' } });
  await test.restart();
  expect(await keyEncryptionKey()).toEqual({ id: second.id, source: 'vault' });
  await put({ kek: second.text });
  await test.restart();
  expect(await keyEncryptionKey()).toEqual({ id: second.id, source: 'vault' });
  await test.call('PUT', '/v1/admin/secrets/kept/value', { body: { value } });
  const changes = vault
    .requests()
    .filter(({ path, operation }) => path === 'secret/data/strongroom-kek' && operation !== 'read');
  expect(changes).toHaveLength(ownChanges);
});

it('lets the doctor say what a sealed Vault and a narrow policy stop', async () => {
  expect(await doctorSays('store-vault')).toMatchObject({ status: 'ok', finding: 'Tried for global scope' });
  await must('POST', 'sys/policies/acl/store-writer', {
    policy: storePolicy.replace('"create", "read", "update"]', '"read"]'),
  });
  expect(await doctorSays('store-vault')).toMatchObject({
    status: 'red',
    finding: expect.stringMatching(/^The global scope, write: The policy does not allow: /),
    hint: expect.stringContaining('docs/guides/vault.md'),
  });
  await vault.seal();
  expect(await doctorSays('store-vault')).toMatchObject({
    status: 'red',
    finding: expect.stringMatching(/^The global scope, state: .*sealed/),
  });
  expect(await doctorSays('kek-source')).toMatchObject({ status: 'red', finding: expect.stringContaining('sealed') });
  // A server that runs goes on with the database.
  await test.call('PUT', '/v1/admin/secrets/kept/value', { body: { value } });
  await expect(test.restart()).rejects.toMatchObject({ code: 'backend_sealed' });
  await vault.unseal();
  await must('POST', 'sys/policies/acl/store-writer', { policy: storePolicy });
  await test.restart();
  expect(await doctorSays('store-vault')).toMatchObject({ status: 'ok' });
  await test.assertNoLeak();
});
