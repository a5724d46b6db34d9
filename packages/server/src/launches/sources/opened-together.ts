import type { SecretValue } from '@strongroom/crypto';
import type { Keys, ValuePlace } from '../../keys/keys.ts';
import type { MaybePromise } from '../../store/maybe-promise.ts';

interface Opened {
  readonly place: ValuePlace;
  readonly value: SecretValue;
}

/**
 * Opens an envelope once for all that ask for it in one turn of the event loop, as the workers of one job do. To each its own
 * copy; what they are copied from is zeroed when the turn ends. The next turn opens again.
 */
export class OpenedTogether {
  readonly #keys: Pick<Keys, 'open'>;
  /** By the bytes as the store's memory shares them: the same object is the same version of the same secret. */
  #opened = new Map<Uint8Array, Opened>();

  constructor(keys: Pick<Keys, 'open'>) {
    this.#keys = keys;
  }

  /** As {@link Keys.open}; what that throws, and what it has to wait for, is kept for nobody else. */
  open(place: ValuePlace, envelope: Uint8Array): MaybePromise<SecretValue> {
    const known = this.#opened.get(envelope);
    // An envelope opens in its own place alone: for another one the keys have to refuse it.
    if (known !== undefined && isSame(known.place, place)) return known.value.copy();
    const value = this.#keys.open(place, envelope);
    if (value instanceof Promise) return value;
    if (this.#opened.size === 0) setImmediate(() => this.#end());
    this.#opened.set(envelope, { place, value });
    return value.copy();
  }

  #end(): void {
    for (const { value } of this.#opened.values()) value.destroy();
    // By a new map: a cleared one's old table would keep the next one alive, and so on (`Slots`).
    this.#opened = new Map();
  }
}

function isSame(a: ValuePlace, b: ValuePlace): boolean {
  return a.secretId === b.secretId && a.version === b.version && a.epoch === b.epoch && a.scopeId === b.scopeId;
}
