import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { createKekFile, kekFromBytes } from '@strongroom/crypto';
import { expect, it } from 'vitest';
import { codeOf, rotationEvent } from '../../testing/keys-world.ts';
import { describeEachStore } from '../../testing/stores.ts';
import { loadConfiguration } from '../config/load.ts';
import { fileKekSource } from '../keys/kek-source.ts';
import { withMacKeys } from './mac-keys.ts';
import { publicKeyFile, publishPublicKey } from './public-key-file.ts';
import { verifyDataDirectory } from './verify-files.ts';

describeEachStore('the MAC keys of the keyring', (openStore) => {
  it('are read beside the running server, across a rotation, with the right key file alone, and wiped', async () => {
    const bytes = randomBytes(32);
    const test = await openStore({ kek: kekFromBytes(Uint8Array.from(bytes)) });
    const file = join(test.directory, 'kek');
    await createKekFile(file, bytes);
    const configuration = (kekFile = file) =>
      loadConfiguration({
        variables: {
          STRONGROOM_DATA_DIR: test.directory,
          STRONGROOM_KEK_FILE: kekFile,
          ...(test.url === undefined ? {} : { STRONGROOM_DATABASE_URL: test.url }),
        },
        workingDirectory: test.directory,
      });
    const keys = await test.keys.auditKeys();
    publishPublicKey(publicKeyFile(join(test.directory, 'audit.anchor')), keys.publicKey);
    const event = { principal: 'usr_a', principalName: 'user:a', action: 'secret.list', outcome: 'allowed' } as const;
    await test.store.execute('access.record', undefined, { audit: [event] });

    const verify = (macKeys: ReadonlyMap<string, Uint8Array>) =>
      verifyDataDirectory(test.directory, {
        ...(test.url === undefined ? {} : { databaseUrl: test.url }),
        macKeys,
        isKeyringComplete: true,
      });
    let held: ReadonlyMap<string, Uint8Array> = new Map();
    const report = await withMacKeys(configuration(), (macKeys) => {
      held = macKeys;
      expect(Buffer.from(macKeys.get(keys.macTermId) ?? [])).toEqual(Buffer.from(keys.macKey));
      return verify(macKeys);
    });
    expect(report).toMatchObject({ ok: true, macs: 'checked' });
    expect([...held.values()].every((key) => key.every((byte) => byte === 0))).toBe(true);

    // A chain with a key of its own fits in itself, and is none of this installation's.
    expect(await verify(new Map())).toMatchObject({
      ok: false,
      firstBad: { sequence: 1, why: 'its MACs are of a key that the keyring does not have' },
    });

    await fileKekSource(file).rotate(test.store, test.keys, rotationEvent);
    expect(await withMacKeys(configuration(), verify)).toMatchObject({ ok: true, macs: 'checked' });
    // A rotation that was committed, and whose file has not moved yet.
    const old = readdirSync(test.directory).find((name) => name.endsWith('.old')) ?? '';
    renameSync(file, `${file}.next`);
    renameSync(join(test.directory, old), file);
    expect(await withMacKeys(configuration(), verify)).toMatchObject({ ok: true, macs: 'checked' });
    expect(existsSync(`${file}.next`)).toBe(true);

    const other = join(test.directory, 'other');
    await createKekFile(other, randomBytes(32));
    for (const wrong of [other, join(test.directory, 'nowhere')])
      expect(await codeOf(withMacKeys(configuration(wrong), verify))).toBe('key_unavailable');
  });
});
