import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { StrongroomError } from '@strongroom/contract';
import { kekFromBytes, loadKekFile, openRecoveryKit } from '@strongroom/crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from '../../testing/app.ts';
import { Canaries } from '../../testing/canaries.ts';
import { canary, openText, rotationEvent, sealText } from '../../testing/keys-world.ts';
import { KmsWorld } from '../../testing/kms-world.ts';
import { kmsIdentity, kmsSettings, type LoopbackKms, startLoopbackKms } from '../../testing/loopback-kms.ts';
import { sqliteDatabase } from '../../testing/stores.ts';
import { loadConfiguration } from '../config/load.ts';
import { makeRecoveryKit, recoverKekFile } from '../operator.ts';

let kms: LoopbackKms;
let keyArn = '';
beforeAll(async () => {
  Object.assign(process.env, kmsIdentity);
  kms = await startLoopbackKms();
  keyArn = kms.createKey();
});
afterEach(() => {
  kms.trouble = 'none';
  kms.denied.clear();
  kms.states.clear();
});
afterAll(async () => {
  for (const name of Object.keys(kmsIdentity)) delete process.env[name];
  await kms[Symbol.asyncDispose]();
});

const scope = 'dom_global';

describe('a key-encryption key under AWS KMS', () => {
  let world: KmsWorld;
  beforeEach(async () => {
    world = new KmsWorld(await sqliteDatabase().create(), kms, keyArn);
  });
  afterEach(() => world.remove());

  it('is made by the first start, bound to the installation, and is in no file as it is', async () => {
    const before = kms.calls.length;
    await world.start();
    const { installationId, kek } = world.keyring;
    expect(world.envelope()).toEqual({
      format: 'strongroom-kek-aws-kms-v1',
      installation: installationId,
      kek: kek.id,
      keyArn,
      blob: expect.any(String),
    });
    expect(statSync(world.path).mode & 0o777).toBe(0o600);
    expect(readdirSync(dirname(world.path))).toEqual(['kek.aws-kms']);
    const context = { purpose: 'strongroom-kek', installation: installationId, kek: kek.id };
    expect(kms.calls.slice(before)).toEqual([
      { action: 'Encrypt', keyArn, context },
      { action: 'Decrypt', keyArn, context },
    ]);
    const files = world.keyFiles();
    await world.restart();
    expect([world.keyring.kek.id, world.keyring.installationId]).toEqual([kek.id, installationId]);
    expect(world.keyFiles()).toEqual(files);
    expect(kms.calls.slice(before + 2)).toEqual([{ action: 'Decrypt', keyArn, context }]);
  });

  it('is not made where it could not be decrypted again, and nothing is left', async () => {
    kms.denied.add('Decrypt');
    await expect(world.start()).rejects.toMatchObject({
      code: 'backend_denied',
      hint: expect.stringContaining('kms:Decrypt'),
    });
    expect(world.keyFiles()).toEqual({});
    kms.denied.clear();
    kms.denied.add('Encrypt');
    await expect(world.start()).rejects.toMatchObject({ code: 'backend_denied' });
    expect(world.keyFiles()).toEqual({});
    kms.denied.clear();
    await world.start();
    await world.restart();
  });

  it('is one where several make it at the same time', async () => {
    await world.openStore();
    const opened = await Promise.all([1, 2, 3].map(() => world.kekSource.open(world.anyStore)));
    expect(new Set(opened.map(({ kek, installationId }) => `${kek.id} ${installationId}`)).size).toBe(1);
    expect(Object.keys(world.keyFiles())).toEqual(['kek.aws-kms']);
  });

  /** What is wrong, what it is said to be, and its code. */
  const cases: Readonly<Record<string, readonly [(world: KmsWorld) => unknown, RegExp, string]>> = {
    'a key that is disabled': [() => kms.states.set(keyArn, 'disabled'), /disabled/, 'key_unavailable'],
    'a key that is about to be deleted': [
      () => kms.states.set(keyArn, 'pending-deletion'),
      /about to be deleted/,
      'key_unavailable',
    ],
    'a key for signing': [() => kms.states.set(keyArn, 'of-signing'), /not for encryption/, 'key_unavailable'],
    'a key that is not there': [
      (one) => one.use(keyArn.replace(/[^/]*$/, 'absent')),
      /no such key.*was made with.*absent is configured/,
      'key_unavailable',
    ],
    'another key': [
      (one) => one.use(kms.createKey()),
      /Another key in KMS.*was made with.*is configured/,
      'key_unavailable',
    ],
    'a refusal': [() => kms.denied.add('Decrypt'), /refused/, 'backend_denied'],
    'an identity that is not known': [() => (kms.trouble = 'signature'), /credential/, 'backend_denied'],
    throttling: [() => (kms.trouble = 'throttled'), /slow down/, 'backend_throttled'],
    'a failure': [() => (kms.trouble = 'failing'), /failed/, 'backend_unavailable'],
    'a log-in page': [() => (kms.trouble = 'page'), /not its/, 'backend_malformed'],
    'nobody there': [(one) => one.use(keyArn, 'http://127.0.0.1:1'), /./, 'backend_unavailable'],
    'an address that may not be used': [
      (one) => one.use(keyArn, 'http://169.254.169.254'),
      /169\.254\.169\.254|link-local|address/,
      'egress_denied',
    ],
    'changed bytes': [
      (one) => one.edit({ blob: (blob) => blob.replace(/.$/, (last) => (last === 'A' ? 'Q' : 'A')) }),
      /was changed/,
      'key_unavailable',
    ],
    'the id of another key': [
      (one) => one.edit({ kek: (id) => id.replace(/^./, (first) => (first === '0' ? '1' : '0')) }),
      /holds/,
      'key_unavailable',
    ],
    'the name of another installation': [
      (one) => one.edit({ installation: (id) => `${id}x` }),
      /is of the installation/,
      'key_unavailable',
    ],
    'half a file': [
      (one) => writeFileSync(one.path, readFileSync(one.path, 'utf8').slice(0, 90)),
      /is no key-encryption key/,
      'key_unavailable',
    ],
    'an empty file': [(one) => writeFileSync(one.path, ''), /is no key-encryption key/, 'key_unavailable'],
    'a file that is too large': [
      (one) => writeFileSync(one.path, JSON.stringify({ ...one.envelope(), more: 'x'.repeat(20_000) })),
      /is no key-encryption key/,
      'key_unavailable',
    ],
    'a key file': [
      (one) => writeFileSync(one.path, 'strongroom-kek-v1:AAAA\n'),
      /is no key-encryption key/,
      'key_unavailable',
    ],
    'a file open to others': [(one) => one.chmod(0o640), /open to group or other/, 'key_unavailable'],
    'no file': [(one) => one.removeFile(), /does not exist/, 'key_unavailable'],
  };

  it(`starts with none of: ${Object.keys(cases).join('; ')}; and changes nothing`, async () => {
    await world.start();
    const text = canary();
    const { envelope } = await sealText(world.keyring, scope, 'sec_a', text);
    const whole = readFileSync(world.path);
    for (const [name, [change, detail, code]] of Object.entries(cases)) {
      await change(world);
      const before = { files: world.keyFiles(), database: await world.dump() };
      const refusal: unknown = await world.openKeys().catch((error: unknown) => error);
      if (!(refusal instanceof StrongroomError)) throw new Error(`It started with ${name}`, { cause: refusal });
      const said = { name, code: refusal.code, message: refusal.message };
      expect(said).toEqual({ name, code, message: expect.stringMatching(detail) });
      expect({ name, files: world.keyFiles(), database: await world.dump() }).toEqual({ name, ...before });
      world.use(keyArn);
      kms.states.clear();
      kms.denied.clear();
      kms.trouble = 'none';
      world.replace(whole);
    }
    await world.restart();
    expect(await openText(world.keyring, scope, 'sec_a', envelope)).toBe(text);
  });

  it('rotates to a new key in a new file; the old file opens what was backed up before', async () => {
    await world.start();
    const oldId = world.keyring.kek.id;
    const old = readFileSync(world.path, 'utf8');
    await world.kekSource.rotate(world.anyStore, world.keyring, rotationEvent);
    const { id } = world.keyring.kek;
    expect(id).not.toBe(oldId);
    const kept = `kek.aws-kms.${oldId.slice(0, 8)}.old`;
    expect(Object.keys(world.keyFiles())).toEqual(['kek.aws-kms', kept]);
    expect(world.keyFiles()[kept]).toBe(old);
    expect(world.envelope()).toMatchObject({ kek: id, installation: world.keyring.installationId });
    await world.restart();
    expect(world.keyring.kek.id).toBe(id);
    for (const wanted of [id, oldId]) {
      const found = await world.kekSource.find(wanted);
      expect(found.id).toBe(wanted);
    }
    await expect(world.kekSource.find('0'.repeat(32))).rejects.toMatchObject({ code: 'key_unavailable' });
    kms.denied.add('Encrypt');
    const files = world.keyFiles();
    await expect(world.kekSource.rotate(world.anyStore, world.keyring, rotationEvent)).rejects.toMatchObject({
      code: 'backend_denied',
    });
    expect([world.keyFiles(), world.keyring.kek.id]).toEqual([files, id]);
  });
});

describe('a server with its key under AWS KMS', () => {
  const canaries = new Canaries();
  const value = canaries.text('value');
  let test: TestServer;
  const configuration = (settings: Readonly<Record<string, string>> = test.settings) =>
    loadConfiguration({
      variables: { STRONGROOM_DATA_DIR: test.dataDir, ...settings },
      workingDirectory: test.dataDir,
    });
  const doctorSays = async (id: string) => {
    const { checks } = await test.call<{ checks: { id: string; status: string; finding: string; hint?: string }[] }>(
      'GET',
      '/v1/doctor',
    );
    return checks.find((check) => check.id === id);
  };
  const keyEncryptionKey = async () =>
    (
      await test.call<{ readonly keyEncryptionKey: { readonly id: string; readonly source: string } }>(
        'GET',
        '/v1/keys',
      )
    ).keyEncryptionKey;

  beforeAll(async () => {
    test = await startTestServer(kmsSettings(kms, keyArn), { canaries });
  });
  afterAll(() => test.close());

  it('makes a recovery kit, says where its key is, and asks KMS again for the doctor', async () => {
    const { recovery, warnings } = test.server;
    expect(warnings.join()).toMatch(/kek\.aws-kms.*its key in KMS/);
    const kit = readFileSync(recovery?.kitFile ?? '', 'utf8');
    const bytes = openRecoveryKit(kit, recovery?.recoveryKey ?? '');
    canaries.add('kek', bytes);
    expect(await keyEncryptionKey()).toEqual({ id: kekFromBytes(bytes).id, source: 'aws-kms' });
    expect(existsSync(join(test.dataDir, 'kek'))).toBe(false);
    await test.call('POST', '/v1/global/secrets', { body: { key: 'kept', value } });
    expect(await doctorSays('kek-source')).toMatchObject({ status: 'ok', finding: expect.stringContaining(keyArn) });
    kms.states.set(keyArn, 'disabled');
    expect(await doctorSays('kek-source')).toMatchObject({
      status: 'red',
      finding: 'The key in KMS is disabled.',
      hint: 'Enable it again: aws kms enable-key.',
    });
    // A server that runs goes on.
    await test.call('PUT', '/v1/global/secrets/kept/value', { body: { value } });
  });

  it('rotates, and starts again', async () => {
    const before = await keyEncryptionKey();
    await test.call('POST', '/v1/keys/rotate', { body: { what: 'kek' } });
    const after = await keyEncryptionKey();
    expect(after.id).not.toBe(before.id);
    await test.restart();
    expect(await keyEncryptionKey()).toEqual(after);
  });

  it('goes over to a key file and back by a recovery kit, which never replaces a file', async () => {
    const { id } = await keyEncryptionKey();
    const kitFile = join(test.temporaryDirectory, 'kit');
    const { recoveryKey } = await makeRecoveryKit(configuration(), kitFile);
    const kit = readFileSync(kitFile, 'utf8');
    await expect(recoverKekFile(configuration(), kit, recoveryKey)).rejects.toMatchObject({ code: 'state_conflict' });
    const file = { STRONGROOM_KEK_FILE: join(test.temporaryDirectory, 'kek') };
    await recoverKekFile(configuration(file), kit, recoveryKey);
    const loaded = await loadKekFile(file.STRONGROOM_KEK_FILE, { create: false });
    expect(loaded.id).toBe(id);
    const other = { ...kmsSettings(kms, kms.createKey()), STRONGROOM_KEK_AWS_KMS_FILE: join(test.dataDir, 'other') };
    expect(await recoverKekFile(configuration(other), kit, recoveryKey)).toEqual({
      kekId: id,
      path: other.STRONGROOM_KEK_AWS_KMS_FILE,
    });
    await test.restart(other);
    expect(await keyEncryptionKey()).toEqual({ id, source: 'aws-kms' });
    await test.restart();
    // There is nothing to bind it to.
    const empty = { ...kmsSettings(kms, keyArn), STRONGROOM_DATA_DIR: join(test.temporaryDirectory, 'empty') };
    await expect(recoverKekFile(configuration(empty), kit, recoveryKey)).rejects.toMatchObject({
      code: 'state_conflict',
      hint: expect.stringContaining('STRONGROOM_KEK_SOURCE=file'),
    });
    expect(existsSync(join(empty.STRONGROOM_DATA_DIR, 'kek.aws-kms'))).toBe(false);
    canaries.add('key file', readFileSync(file.STRONGROOM_KEK_FILE));
    canaries.allow('key file', file.STRONGROOM_KEK_FILE);
    await test.assertNoLeak();
  });
});

describe('settings of the key under AWS KMS', () => {
  const problems = (more: Readonly<Record<string, string>>): string => {
    try {
      loadConfiguration({ variables: { STRONGROOM_KEK_SOURCE: 'aws-kms', ...more }, workingDirectory: '/srv' });
      return 'none';
    } catch (error) {
      return String(error);
    }
  };

  it.each([
    [{}, /kekAwsKms\.keyArn is needed/],
    [{ KEY_ARN: 'alias/strongroom' }, /KEY_ARN is not of the form/],
    [{ KEY_ARN: 'arn:aws:kms:eu-central-1:123456789012:key/a', REGION: 'us-east-1' }, /names a key in eu-central-1/],
    [
      { KEY_ARN: 'arn:aws:kms:eu-central-1:123456789012:key/a', ENDPOINT: 'kms.example' },
      /ENDPOINT is not of the form/,
    ],
    [{ KEY_ARN: 'arn:aws-us-gov:kms:us-gov-west-1:123456789012:alias/a/b', REGION: 'us-gov-west-1' }, /^none$/],
  ])('%j', (given, said) => {
    const named = Object.entries(given).map(([name, value]) => [`STRONGROOM_KEK_AWS_KMS_${name}`, value]);
    expect(problems(Object.fromEntries(named))).toMatch(said);
  });

  it('do not go with a key file', () => {
    const keyArnOf = 'arn:aws:kms:eu-central-1:123456789012:key/a';
    expect(problems({ STRONGROOM_KEK_FILE: 'kek', STRONGROOM_KEK_AWS_KMS_KEY_ARN: keyArnOf })).toContain('one of them');
  });
});
