// @needs moto
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openRecoveryKit } from '@strongroom/crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { jsonCall } from '../../../backends/testing/live-aws.ts';
import { type Moto, startMoto } from '../../../../servers/moto.ts';
import { startTestServer, type TestServer } from '../../testing/app.ts';
import { Canaries } from '../../testing/canaries.ts';
import { kmsIdentity, kmsSettings } from '../../testing/loopback-kms.ts';

const canaries = new Canaries();
const value = canaries.text('value');
let moto: Moto;
let keyArn = '';
let test: TestServer;
const kms = (action: string, input: object) => jsonCall(moto, 'kms', `TrentService.${action}`, input);
const makeKey = async (): Promise<string> => /"Arn": ?"([^"]+)"/.exec(await kms('CreateKey', {}))?.[1] ?? '';
const keyEncryptionKey = async () =>
  (await test.call<{ readonly keyEncryptionKey: { readonly id: string; readonly source: string } }>('GET', '/v1/keys'))
    .keyEncryptionKey;
const doctorSays = async (id: string) =>
  (await test.call<{ checks: { id: string }[] }>('GET', '/v1/doctor')).checks.find((check) => check.id === id);
const path = (): string => join(test.dataDir, 'kek.aws-kms');

beforeAll(async () => {
  Object.assign(process.env, kmsIdentity);
  moto = await startMoto();
  keyArn = await makeKey();
  test = await startTestServer(kmsSettings(moto, keyArn), { canaries });
});
afterAll(async () => {
  await test.close();
  for (const name of Object.keys(kmsIdentity)) delete process.env[name];
  await moto.stop();
});

it('makes a key that KMS alone gives back, with a recovery kit, and starts with it again', async () => {
  const { recovery, keyring } = test.server;
  canaries.add('kek', openRecoveryKit(readFileSync(recovery?.kitFile ?? '', 'utf8'), recovery?.recoveryKey ?? ''));
  expect(statSync(path()).mode & 0o777).toBe(0o600);
  expect(existsSync(join(test.dataDir, 'kek'))).toBe(false);
  expect(JSON.parse(readFileSync(path(), 'utf8'))).toMatchObject({ installation: keyring.installationId, keyArn });
  await test.call('POST', '/v1/global/secrets', { body: { key: 'kept', value } });
  const before = await keyEncryptionKey();
  expect(before.source).toBe('aws-kms');
  await test.restart();
  expect(await keyEncryptionKey()).toEqual(before);
});

it('rotates, and starts with the new key', async () => {
  const before = await keyEncryptionKey();
  await test.call('POST', '/v1/keys/rotate', { body: { what: 'kek' } });
  const after = await keyEncryptionKey();
  expect(after.id).not.toBe(before.id);
  await test.restart();
  expect(await keyEncryptionKey()).toEqual(after);
  expect(readdirSync(test.dataDir)).toContain(`kek.aws-kms.${before.id.slice(0, 8)}.old`);
});

it('starts under an alias of the key', async () => {
  await kms('CreateAlias', { AliasName: 'alias/strongroom', TargetKeyId: keyArn });
  await test.restart(kmsSettings(moto, keyArn.replace(/key\/.*$/, 'alias/strongroom')));
  expect(await doctorSays('kek-source')).toMatchObject({ finding: expect.stringContaining('alias/strongroom') });
  await test.restart();
});

// moto decrypts with disabled keys, too; kms-kek.test.ts has those.
it('does not start with another key, none, or changed bytes, and changes nothing', async () => {
  const whole = readFileSync(path(), 'utf8');
  // AWS says IncorrectKeyException, moto refuses.
  await expect(test.restart(kmsSettings(moto, await makeKey()))).rejects.toMatchObject({
    code: expect.stringMatching(/^(?:key_unavailable|backend_denied)$/),
    message: expect.stringContaining('is configured'),
  });
  const absent = keyArn.replace(/[^/]+$/, '11111111-2222-3333-4444-555555555555');
  await expect(test.restart(kmsSettings(moto, absent))).rejects.toMatchObject({ code: 'key_unavailable' });
  const { blob } = JSON.parse(whole) as { readonly blob: string };
  const changed = Buffer.from(blob, 'base64url');
  changed[changed.length - 1] = (changed[changed.length - 1] ?? 0) ^ 1;
  writeFileSync(path(), whole.replace(blob, changed.toString('base64url')));
  await expect(test.restart()).rejects.toMatchObject({ code: 'key_unavailable' });
  writeFileSync(path(), whole);
  await test.restart();
  await test.call('PUT', '/v1/global/secrets/kept/value', { body: { value } });
  await test.assertNoLeak();
});
