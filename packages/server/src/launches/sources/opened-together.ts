import type { SecretValue } from '@strongroom/crypto';
import type { MaybePromise } from '../../store/maybe-promise.ts';

/**
 * Opens an envelope once for all that ask for it in one turn of the event loop, as the workers of one job do. To each its own
 * copy; what they are copied from is zeroed when the turn ends. The next turn opens again.
 */
export class OpenedTogether {
  /** By the bytes as the store's memory shares them: the same object is the same version of the same secret. */
  #opened = new Map<Uint8Array, SecretValue>();

  /** @param open what it throws, and what it has to wait for, is kept for nobody else */
  open(envelope: Uint8Array, open: () => MaybePromise<SecretValue>): MaybePromise<SecretValue> {
    const known = this.#opened.get(envelope);
    if (known !== undefined) return known.copy();
    const value = open();
    if (value instanceof Promise) return value;
    if (this.#opened.size === 0) setImmediate(() => this.#end());
    this.#opened.set(envelope, value);
    return value.copy();
  }

  #end(): void {
    for (const value of this.#opened.values()) value.destroy();
    // By a new map: a cleared one's old table would keep the next one alive, and so on (`Slots`).
    this.#opened = new Map();
  }
}
