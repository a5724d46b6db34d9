import type { SecretValue } from '@strongroom/crypto';
import type { Backend, Content } from '../backend.ts';
import type { KeyKind } from './key-kinds.ts';

/**
 * The backend under test and what the suite may do to the place behind it. Only `open` is needed: with nothing else the
 * suite reads what is there, writes nothing, and reports as not applicable, by name, what it could not try.
 */
export interface ConformanceContext {
  /** A fresh instance over the same place. The suite closes each one that it opens. */
  open(): Promise<Backend>;

  /** Keys that are known to be there. Without them and without a place the keys come from `list`. They are only read. */
  readonly existingKeys?: readonly string[];

  /** Where the suite may write, past the backend under test. Without it nothing is written anywhere. */
  readonly place?: ConformancePlace;

  /** What stands before every key that the suite makes or asks for, such as `team/app/`; nothing by default. */
  readonly keyPrefix?: string;

  /** Kinds of key names that the backend takes. It may refuse the others, or have nothing there. Default: none but plain ones. */
  readonly keyKinds?: readonly KeyKind[];

  /**
   * Shapes in which the place keeps entries, the simplest first; `text` by default. A backend that has fields as members of
   * a JSON text says `text`, and `fields` besides only if it tells them apart when it reads.
   */
  readonly shapes?: readonly Content['shape'][];

  /** The place can keep an empty value; `true` by default. */
  readonly keepsEmpty?: boolean;

  /** A version in the backend's own form that no entry ever had. */
  readonly unknownVersion?: string;

  /** How to bring each trouble about. */
  readonly faults?: Readonly<Partial<Record<FaultKind, InjectFault>>>;

  /** How to put things of somebody else into the place. */
  readonly foreign?: ForeignThings;

  /** What the backend signs in with: no error may hold it. */
  readonly credentials?: readonly SecretValue[];

  readonly sizes?: ConformanceSizes;
}

/** A way to the place that isn't the backend under test: the vendor's own client, or the fake server's own store. */
export interface ConformancePlace {
  /** Puts an entry, over what is there. It must be there when this resolves. */
  seed(key: string, content: Content): Promise<void>;
  /** Takes an entry away, so that nothing of it is left; one that is not there is success. */
  remove(key: string): Promise<void>;
  /** Deletes or disables an entry so that it may come back, where the place knows that. `remove` must work on it all the same. */
  softDelete?(key: string): Promise<void>;
}

export interface ConformanceSizes {
  /** Entries for the checks of lists and of many keys; at least 12. 30 by default, and always more than two batches up to this. */
  readonly manyKeys?: number;
  /** Largest value that is tried, in bytes; the backend's own limit by default, at most 1 MiB. */
  readonly valueBytes?: number;
  /** Characters of a key at most; look-alikes that need more are left out. No limit by default. */
  readonly keyCharacters?: number;
  /** Milliseconds within which a call has to end after its signal; 1,000 by default. */
  readonly abortGraceMs?: number;
  /** Milliseconds for one check; 60,000 by default. */
  readonly checkMs?: number;
}

/**
 * - `unreachable`: connections are refused. Expected: `backend_unavailable`.
 * - `cut`: the connection ends within the answer. A write has happened or not. Expected: `backend_unavailable`.
 * - `hanging`: connections are taken and nothing is answered. Expected: the deadline of the caller.
 * - `failing`: answered with an error of the server's own (HTTP 500). Expected: `backend_unavailable`.
 * - `throttled`: asked to slow down (HTTP 429). Expected: `backend_throttled`.
 * - `denied`: the credential is good and may do nothing. Expected: `backend_denied`.
 * - `sealed`: Vault's state, also standby and uninitialised. Expected: `backend_sealed`.
 * - `malformed`: answered with success and something that isn't the protocol (a log-in page). Expected: `backend_malformed`.
 */
export const faultKinds = [
  'unreachable',
  'cut',
  'hanging',
  'failing',
  'throttled',
  'denied',
  'sealed',
  'malformed',
] as const;
export type FaultKind = (typeof faultKinds)[number];

/**
 * Brings the trouble about, for every instance, until the returned function has been called. `echo` is text to put into
 * the answer where there is one, body and headers: no error may repeat it.
 */
export type InjectFault = (echo: string) => Promise<() => Promise<void>>;

export interface ForeignThings {
  /** Beside an entry of ours, in the same object: a key, tag or annotation that a careless write would drop. */
  readonly beside?: (key: string) => Promise<ForeignThing>;
  /** Where the entry of this key would be, without our mark. */
  readonly inPlaceOf?: (key: string) => Promise<ForeignThing>;
}

export interface ForeignThing {
  /** Whether it is there as it was planted. */
  isUntouched(): Promise<boolean>;
  remove(): Promise<void>;
}
