import { setImmediate as turn } from 'node:timers/promises';
import { SecretValue } from '@strongroom/crypto';
import { describe, expect, it } from 'vitest';
import { OpenedTogether } from './opened-together.ts';

/** Opens by making a value of the envelope's own bytes, and keeps what it made. */
function opener() {
  const made: SecretValue[] = [];
  const open = (envelope: Uint8Array) => (): SecretValue => {
    const value = SecretValue.fromBytes(envelope);
    made.push(value);
    return value;
  };
  return { made, open };
}

describe('what is opened in one turn', () => {
  const envelope = Uint8Array.of(1, 2, 3);

  it('is opened once, and each gets its own copy', async () => {
    const together = new OpenedTogether();
    const { made, open } = opener();
    const first = await together.open(envelope, open(envelope));
    first.destroy();
    const second = await together.open(envelope, open(envelope));
    expect(made).toHaveLength(1);
    expect([...second.reveal()]).toEqual([1, 2, 3]);
  });

  it('is zeroed at its end; who has a copy keeps it, and the next turn opens again', async () => {
    const together = new OpenedTogether();
    const { made, open } = opener();
    const held = await together.open(envelope, open(envelope));
    await turn();
    expect(() => made[0]?.reveal()).toThrow(TypeError);
    expect([...held.reveal()]).toEqual([1, 2, 3]);
    await together.open(envelope, open(envelope));
    expect(made).toHaveLength(2);
    await turn();
    expect(() => made[1]?.reveal()).toThrow(TypeError);
  });

  it('is not shared between rows, even of the same bytes', async () => {
    const together = new OpenedTogether();
    const { made, open } = opener();
    const other = Uint8Array.from(envelope);
    await together.open(envelope, open(envelope));
    await together.open(other, open(other));
    expect(made).toHaveLength(2);
  });

  it('is kept for nobody when it failed, or had to be waited for', async () => {
    const together = new OpenedTogether();
    const { made, open } = opener();
    const fail = (): never => {
      throw new TypeError('no key');
    };
    expect(() => together.open(envelope, fail)).toThrow('no key');
    const waited = await together.open(envelope, async () => open(envelope)());
    expect(waited).toBe(made[0]);
    await together.open(envelope, open(envelope));
    expect(made).toHaveLength(2);
    await turn();
    expect([...waited.reveal()]).toEqual([1, 2, 3]);
  });
});
