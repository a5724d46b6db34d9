import { reservedSourceName, type SourceType } from '@strongroom/contract';
import type { SecretValue } from '@strongroom/crypto';
import type { MaybePromise } from '../../store/maybe-promise.ts';
import type { Failure } from '../outcomes.ts';
import type { Target, TargetSource } from '../targets.ts';

/**
 * Where values are read from at a launch. One implementation per kind of store; an outage is never reported as absence.
 */
export type SecretSource = LocalSource | RemoteSource;

/** A source whose sealed values come with the catalogue: it opens them, and asks nobody. */
export interface LocalSource {
  readonly kind: 'local';
  open(target: Target): MaybePromise<Fetched>;
}

/** A source that is asked over a network: in batches, bounded, once for all who want the same at the same time. */
export interface RemoteSource {
  readonly kind: 'remote';
  /** Names the source and the state of its settings: part of the key of a flight. */
  flightPrefix(source: TargetSource): string;
  /** Whole values by key, one answer for each. It bounds its requests at once itself, over all who ask. */
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
      /** The source's version of this key, as text; `null` where it has none for single keys. */
      readonly version: string | null;
      /** Keyed; for receipts. */
      readonly fingerprint: Uint8Array | null;
      /** What the source found; absent where the catalogue has decided about fields before. */
      readonly entry?: FoundEntry;
    }
  | { readonly kind: 'failed'; readonly failure: Failure; readonly detail?: string };

/** How a value that only the source knows has fields. */
export interface FoundEntry {
  readonly shape: 'text' | 'binary' | 'fields';
  /** Of a text: it has none (`native`), or they are the members of its JSON. */
  readonly fields: 'native' | 'json';
}

/** How a source is read, `null` when this server has no way. A managed store and an integration may be of one type. */
export type Sources = (source: TargetSource) => SecretSource | null;

/** The one place that chooses: managed stores by where their values are, everything else is an integration. */
export function sourcesOf(parts: {
  readonly managed: Readonly<Partial<Record<SourceType, SecretSource>>>;
  readonly integrations: SecretSource;
}): Sources {
  return ({ name, type }) => (name === reservedSourceName ? (parts.managed[type] ?? null) : parts.integrations);
}
