import type { SecretValue } from '@strongroom/crypto';
import type { Target, TargetSource } from '../targets.ts';
import type { Failure } from '../outcomes.ts';

/**
 * Where values are read from at a launch. One implementation per kind of store; an outage is never reported as absence.
 */
export interface SecretSource {
  /** Names the source and the state of its settings: part of the key of a flight. */
  flightPrefix(source: TargetSource): string;
  /** Whole values by key, one answer for each. Requests at once are bounded by the caller. */
  fetch(keys: readonly FetchKey[], signal: AbortSignal): Promise<ReadonlyMap<string, Fetched>>;
}

export interface FetchKey {
  /** The key in the source; distinct within one fetch. */
  readonly key: string;
  readonly target: Target;
}

export type Fetched =
  | {
      readonly kind: 'value';
      readonly value: SecretValue;
      /** The source's version of this key, as text. */
      readonly version: string;
      /** Keyed; for receipts. */
      readonly fingerprint: Uint8Array | null;
      readonly shape: 'text' | 'binary' | 'fields';
    }
  | { readonly kind: 'failed'; readonly failure: Failure; readonly detail?: string };

/** The source of a kind, `null` when this server has none. */
export type Sources = (type: TargetSource['type']) => SecretSource | null;
