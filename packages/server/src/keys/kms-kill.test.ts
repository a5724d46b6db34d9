import { existsSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { runKilledChild } from '../../testing/keys-kills.ts';
import { openText, rotationEvent, sealText } from '../../testing/keys-world.ts';
import { KmsWorld } from '../../testing/kms-world.ts';
import { kmsIdentity, type LoopbackKms, startLoopbackKms } from '../../testing/loopback-kms.ts';
import { sqliteDatabase } from '../../testing/stores.ts';

let kms: LoopbackKms;
let keyArn = '';
let world: KmsWorld;
beforeAll(async () => {
  Object.assign(process.env, kmsIdentity);
  kms = await startLoopbackKms();
  keyArn = kms.createKey();
});
beforeEach(async () => {
  world = new KmsWorld(await sqliteDatabase().create(), kms, keyArn);
});
afterEach(() => world.remove());
afterAll(async () => {
  for (const name of Object.keys(kmsIdentity)) delete process.env[name];
  await kms[Symbol.asyncDispose]();
});

const killAt = (failpoint: string): Promise<void> =>
  runKilledChild([world.place.directory, failpoint, kms.url, keyArn], kmsIdentity);

it.each(['encrypted', 'written', 'committing'])(
  'a first start killed at %s leaves no installation without its key, and no key but one',
  async (step) => {
    await killAt(`start ${step}`);
    const left = existsSync(world.path) ? world.envelope() : undefined;
    expect(left === undefined).toBe(step === 'encrypted');
    await world.start();
    const { keyring } = world;
    expect(world.envelope()).toMatchObject({ installation: keyring.installationId, kek: keyring.kek.id });
    if (left !== undefined) expect(world.envelope()).toEqual(left);
  },
);

it.each(['written', 'committing', 'committed'])(
  'a rotation killed at %s leaves the old key or the new one, and the value opens',
  async (step) => {
    await world.start();
    const { envelope } = await sealText(world.keyring, 'dom_global', 'sec_a', 'kept');
    const before = world.keyring.kek.id;
    await world.stop();
    await killAt(step);
    await world.start();
    const after = world.keyring.kek.id;
    expect(step === 'committing' ? [true, false] : [step === 'written']).toContain(after === before);
    expect(world.envelope()).toMatchObject({ kek: after });
    expect(await openText(world.keyring, 'dom_global', 'sec_a', envelope)).toBe('kept');
    await world.kekSource.rotate(world.anyStore, world.keyring, rotationEvent);
    expect(Object.keys(world.keyFiles())).not.toContain('kek.aws-kms.next');
  },
);
