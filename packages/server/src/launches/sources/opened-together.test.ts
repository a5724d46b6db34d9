import { setImmediate as turn } from 'node:timers/promises';
import { SecretValue } from '@strongroom/crypto';
import { describe, expect, it } from 'vitest';
import type { ValuePlace } from '../../keys/keys.ts';
import type { MaybePromise } from '../../store/maybe-promise.ts';
import { OpenedTogether } from './opened-together.ts';

const place: ValuePlace = { scopeId: 'dom_1', secretId: 'sec_1', epoch: 1, version: 1 };
const envelope = Uint8Array.of(1, 2, 3);

/** Keys that open an envelope in `place` alone, to a value of the envelope's own bytes, and remember what they made. */
function keyring() {
  const made: SecretValue[] = [];
  let answer = (value: SecretValue): MaybePromise<SecretValue> => value;
  return {
    made,
    answerWith: (how: typeof answer) => (answer = how),
    open(asked: ValuePlace, bytes: Uint8Array) {
      if (JSON.stringify(asked) !== JSON.stringify(place)) throw new TypeError('another place');
      const value = SecretValue.fromBytes(bytes);
      made.push(value);
      return answer(value);
    },
  };
}

describe('what is opened in one turn', () => {
  it('is opened once, and each gets its own copy', async () => {
    const keys = keyring();
    const together = new OpenedTogether(keys);
    const first = await together.open(place, envelope);
    first.destroy();
    const second = await together.open({ ...place }, envelope);
    expect(keys.made).toHaveLength(1);
    expect([...second.reveal()]).toEqual([1, 2, 3]);
  });

  it('is zeroed at its end; who has a copy keeps it, and the next turn opens again', async () => {
    const keys = keyring();
    const together = new OpenedTogether(keys);
    const held = await together.open(place, envelope);
    await turn();
    expect(() => keys.made[0]?.reveal()).toThrow(TypeError);
    expect([...held.reveal()]).toEqual([1, 2, 3]);
    await together.open(place, envelope);
    expect(keys.made).toHaveLength(2);
    await turn();
    expect(() => keys.made[1]?.reveal()).toThrow(TypeError);
  });

  it('is not shared between rows, even of the same bytes', async () => {
    const keys = keyring();
    const together = new OpenedTogether(keys);
    await together.open(place, envelope);
    await together.open(place, Uint8Array.from(envelope));
    expect(keys.made).toHaveLength(2);
  });

  it.each([
    ['scope', { scopeId: 'dom_2' }],
    ['secret', { secretId: 'sec_2' }],
    ['epoch', { epoch: 2 }],
    ['version', { version: 2 }],
  ])('is not given to another %s', async (_what, other) => {
    const together = new OpenedTogether(keyring());
    await together.open(place, envelope);
    expect(() => together.open({ ...place, ...other }, envelope)).toThrow('another place');
  });

  it('is kept for nobody when it failed, or had to be waited for', async () => {
    const keys = keyring();
    const together = new OpenedTogether(keys);
    keys.answerWith(() => {
      throw new TypeError('no key');
    });
    expect(() => together.open(place, envelope)).toThrow('no key');
    keys.answerWith(async (value) => value);
    const waited = await together.open(place, envelope);
    expect(waited).toBe(keys.made[1]);
    keys.answerWith((value) => value);
    await together.open(place, envelope);
    expect(keys.made).toHaveLength(3);
    await turn();
    expect([...waited.reveal()]).toEqual([1, 2, 3]);
  });
});
