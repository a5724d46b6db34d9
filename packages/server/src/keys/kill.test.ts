import { afterAll, beforeAll, expect, it } from 'vitest';
import { runKilledChild } from '../../testing/keys-kills.ts';
import { KeysWorld, rotationEvent } from '../../testing/keys-world.ts';
import { sqliteDatabase } from '../../testing/stores.ts';
import { newId } from '../store/ids.ts';
import { resealRetired } from './reseal.ts';
import { keyFile } from './kek-file.ts';
import { rotateKekFile } from './rotation.ts';

const scope = 'dom_global';
const ids = Array.from({ length: 150 }, () => newId('secret'));
let world: KeysWorld;

beforeAll(async () => {
  world = await KeysWorld.create(sqliteDatabase());
  await Promise.all(ids.map((id) => world.addValue(scope, id, `value of ${id}`)));
});
afterAll(() => world.remove());

/** What a process that rotates leaves when it is killed there; then a server starts over it. */
async function killAt(failpoint: string): Promise<void> {
  await world.stop();
  await runKilledChild([world.place.directory, failpoint]);
  await world.start();
}

const kekInForce = async () =>
  (await world.store.db.selectFrom('installation').select('kek_id').executeTakeFirstOrThrow()).kek_id;

it.each(['committing', 'committed', 'old-kept'])(
  'a rotation of the key file killed at %s leaves the old key or the new one, and every value opens',
  async (failpoint) => {
    const before = world.keyring.kek.id;
    await killAt(failpoint);
    const after = await kekInForce();
    expect(world.keyring.kek.id).toBe(after);
    expect(failpoint === 'committing' ? [true, false] : [false]).toContain(after === before);
    for (const id of ids.slice(0, 5)) expect(await world.readValue(scope, id)).toBe(`value of ${id}`);
    // What was left is no obstacle to the next rotation.
    const { kekId } = await rotateKekFile(world.anyStore, world.keyring, keyFile(world.kekFile), rotationEvent);
    expect(await kekInForce()).toBe(kekId);
    expect(Object.keys(world.keyFiles())).not.toContain('kek.next');
  },
);

it('sealing values anew, killed in the middle and again, loses none and comes to its end', async () => {
  await world.keyring.rotateValueTerm(scope);
  const { uses = 0 } = (await world.terms(scope)).at(-1) ?? {};
  await killAt('resealing');
  await killAt('resealed');
  expect(await world.store.query('keys.retiredCount', undefined)).toBeLessThan(ids.length);
  expect(await resealRetired(world.anyStore, world.keyring, { batches: 9 })).toMatchObject({ failed: 0, isDone: true });
  expect(await world.store.query('keys.retiredCount', undefined)).toBe(0);
  for (const id of ids) expect(await world.readValue(scope, id)).toBe(`value of ${id}`);
  expect((await world.terms(scope)).at(-1)?.uses).toBeGreaterThanOrEqual(uses + ids.length);
});
