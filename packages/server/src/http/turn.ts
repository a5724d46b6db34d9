/**
 * Does what one turn of the event loop brings together, at its end. The same work for many at a time finds its code where the
 * processor has just had it; each of them alone, from its first byte to its last, would push it out again for the next. Alone
 * none waits: its turn ends at once.
 */
export class Turn<Item> {
  readonly #handle: (item: Item) => void;
  #items: Item[] = [];

  /** @param handle what it throws is thrown on, out of the event loop, and keeps none of the others from being done */
  constructor(handle: (item: Item) => void) {
    this.#handle = handle;
  }

  add(item: Item): void {
    if (this.#items.push(item) === 1) setImmediate(() => this.#end());
  }

  #end(): void {
    const items = this.#items;
    this.#items = [];
    let done = 0;
    try {
      for (const item of items) {
        done += 1;
        this.#handle(item);
      }
    } finally {
      for (const item of items.slice(done)) this.add(item);
    }
  }
}
