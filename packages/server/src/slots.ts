/**
 * Things under way, each at a small number of its own that is given again when it is done.
 *
 * For what comes and goes thousands of times a second a `Map` or a `Set` costs more than itself: V8 replaces their tables as
 * they fill with what was deleted, and an outgrown table points to the next one. Once such a table has grown old, all that
 * came after it counts as reachable, and half of every request was carried through collections of the young generation that
 * should have found it dead.
 */
export class Slots<Item extends object> {
  readonly #items: (Item | undefined)[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#items.length - this.#free.length;
  }

  /** @returns its slot, to `take` it by */
  add(item: Item): number {
    const slot = this.#free.pop();
    if (slot === undefined) return this.#items.push(item) - 1;
    this.#items[slot] = item;
    return slot;
  }

  /** Removes what is in a slot; undefined when nothing is. */
  take(slot: number): Item | undefined {
    const item = this.#items[slot];
    if (item === undefined) return undefined;
    this.#items[slot] = undefined;
    this.#free.push(slot);
    return item;
  }

  /** All of them, in no order. */
  all(): Item[] {
    return this.#items.filter((item) => item !== undefined);
  }
}
