import { describe, expect, it } from 'vitest';
import { Slots } from './slots.ts';

describe('slots', () => {
  it('finds each by its slot, whatever came and went since', () => {
    const slots = new Slots<{ readonly name: string }>();
    const first = slots.add({ name: 'first' });
    const second = slots.add({ name: 'second' });
    expect(slots.size).toBe(2);
    expect(slots.take(first)).toEqual({ name: 'first' });
    const third = slots.add({ name: 'third' });
    expect(
      slots
        .all()
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['second', 'third']);
    expect(slots.take(third)).toEqual({ name: 'third' });
    expect(slots.take(second)).toEqual({ name: 'second' });
    expect(slots.size).toBe(0);
    expect(slots.all()).toEqual([]);
  });

  it('gives nothing twice, and a slot to one at a time', () => {
    const slots = new Slots<{ readonly n: number }>();
    const taken = slots.add({ n: 1 });
    expect(slots.take(taken)).toEqual({ n: 1 });
    expect(slots.take(taken)).toBeUndefined();
    expect(slots.take(99)).toBeUndefined();
    const [a, b] = [slots.add({ n: 2 }), slots.add({ n: 3 })];
    expect(a).not.toBe(b);
    expect(slots.size).toBe(2);
  });

  it('needs as many slots as there were things at once', () => {
    const slots = new Slots<{ readonly n: number }>();
    for (let n = 0; n < 1000; n += 1) {
      const slot = slots.add({ n });
      expect(slot).toBe(0);
      slots.take(slot);
    }
  });
});
