import type { Store } from '../store/store.ts';

/** Milliseconds that a secret's time of its last launch may lag behind. */
const lagMilliseconds = 5_000;

/** Notes when secrets were launched, off the launches' own path: one small write now and then. */
export class LaunchTimes {
  readonly #store: Store;
  #noted = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(store: Store) {
    this.#store = store;
  }

  note(secretIds: readonly string[], at: number): void {
    for (const id of secretIds) this.#noted.set(id, at);
    if (this.#timer !== undefined || this.#noted.size === 0) return;
    this.#timer = setTimeout(() => {
      this.#writing = this.#write();
    }, lagMilliseconds);
    this.#timer.unref();
  }

  /** Writes what is noted. */
  async close(): Promise<void> {
    await this.#writing;
    await this.#write();
  }

  async #write(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const launched = [...this.#noted].map(([secretId, at]) => ({ secretId, at }));
    this.#noted = new Map();
    if (launched.length === 0) return;
    try {
      await this.#store.execute('secret.touchLaunched', { launched });
    } catch {
      // Only a time that people look at: it goes with the next write, unless a later launch has replaced it.
      for (const { secretId, at } of launched) if (!this.#noted.has(secretId)) this.#noted.set(secretId, at);
    }
  }
}
