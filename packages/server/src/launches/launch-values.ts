import { parse as parseJson, stringify as stringifyJson } from 'lossless-json';
import { SecretValue } from '@strongroom/crypto';

/** Values of one launch by {@link wantedId}. Whoever has them calls `destroy`, on every path. */
export class LaunchValues {
  readonly #values = new Map<string, SecretValue>();
  readonly #owned = new Set<SecretValue>();
  #isDestroyed = false;

  /** Takes a value into custody. */
  own(value: SecretValue): void {
    // A source may answer after its launch was given up.
    if (this.#isDestroyed) value.destroy();
    else this.#owned.add(value);
  }

  set(id: string, value: SecretValue): void {
    this.own(value);
    if (!this.#isDestroyed) this.#values.set(id, value);
  }

  get(id: string): SecretValue {
    const value = this.#values.get(id);
    if (value === undefined) throw new TypeError('A value was asked for that the launch did not resolve');
    return value;
  }

  destroy(): void {
    this.#isDestroyed = true;
    for (const value of this.#owned) value.destroy();
    this.#owned.clear();
    this.#values.clear();
  }
}

/** One field of a multi-field value: a text as it is, anything else as its JSON, numbers digit by digit. */
export function pickField(value: SecretValue, field: string): SecretValue | null {
  let fields: unknown;
  try {
    fields = parseJson(value.revealText());
  } catch {
    // Not JSON: the parser's message would quote the value.
    return null;
  }
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields) || !Object.hasOwn(fields, field))
    return null;
  const picked = (fields as Record<string, unknown>)[field];
  if (typeof picked === 'string') return SecretValue.fromText(picked);
  return SecretValue.fromText(stringifyJson(picked) ?? 'null');
}
