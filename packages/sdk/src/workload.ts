import { setTimeout as pause } from 'node:timers/promises';
import { compactDecrypt, type CryptoKey, decodeProtectedHeader, exportJWK, generateKeyPair, type JWK } from 'jose';
import type { Client } from './client.ts';
import { isRecord, StrongroomError } from './errors.ts';

/**
 * The receiving end of sealed delivery: a workload asks for the values of references, and gets them encrypted to a key
 * that exists in this process only. Needs a service account's token (or a workload's identity) with RESOLVE.
 */

export interface WantedReference {
  /** What the value is called here: a variable, a file. Unique in one launch. */
  readonly name: string;
  /** `secret://domain/managed/KEY`, or its object form. */
  readonly reference: string;
}

export interface OpenLaunchOptions {
  readonly domain: string;
  /** References, or a saved Spark job whose references are wanted. */
  readonly references?: readonly WantedReference[];
  readonly sparkJob?: string;
  readonly signal?: AbortSignal;
}

/** A launch that was allowed and not yet delivered. */
export interface OpenLaunch {
  readonly id: string;
  /** RFC 3339; after it the launch can't be resolved. */
  readonly expiresAt: string;
  readonly references: readonly { readonly name: string; readonly reference: string }[];
  /**
   * Receives the values: all or none. Only once: the key is used up.
   * @throws StrongroomError `launch_refused` with one entry of `errors` for each reference that did not resolve, and
   * whatever a call can throw
   */
  resolve(): Promise<DeliveredValues>;
}

/** Values by name. They are zeroed by {@link DeliveredValues.destroy}; text taken from them can't be. */
export interface DeliveredValues extends Disposable {
  readonly launch: string;
  /** RFC 3339; call `heartbeat` before, or drift calls the workload unknown. */
  readonly heartbeatUntil: string;
  readonly names: readonly string[];
  /** The bytes themselves, not a copy. @throws StrongroomError `reference_unresolved` for a name that wasn't asked for */
  bytes(name: string): Uint8Array;
  /** As UTF-8. @throws StrongroomError `launch_refused` when the bytes aren't UTF-8 */
  text(name: string): string;
  destroy(): void;
}

/**
 * Asks for values. Nothing is delivered yet, and nothing resolved: what can be known to fail, fails here.
 *
 * @throws StrongroomError `reference_unresolved`, `permission_missing`, `not_found`, and whatever a call can throw
 */
export async function openLaunch(client: Client, options: OpenLaunchOptions): Promise<OpenLaunch> {
  const { domain, references, sparkJob, signal } = options;
  const created = await client.createLaunch({
    params: { domain },
    body: {
      ...(references === undefined
        ? {}
        : { references: references.map(({ name, reference }) => ({ name, reference })) }),
      ...(sparkJob === undefined ? {} : { sparkJob }),
    },
    ...(signal === undefined ? {} : { signal }),
  });
  const names = (references ?? created.references).map(({ name }) => name);
  return { ...created, resolve: () => resolve(client, created.id, names, signal) };
}

/** Says every now and then that the workload still runs, until the returned function is called. */
export function startHeartbeat(
  client: Client,
  delivered: Pick<DeliveredValues, 'launch' | 'heartbeatUntil'>,
): () => void {
  const stop = new AbortController();
  void beat(client, delivered.launch, delivered.heartbeatUntil, stop.signal);
  return () => stop.abort();
}

/** Ends a launch: the workload holds its values no more. */
export async function endLaunch(client: Client, launch: string): Promise<void> {
  await client.endLaunch({ params: { id: launch } });
}

const minimumBeatMilliseconds = 5000;
/** Half of what a launch holds without one: this machine's clock may be behind the server's. */
const maximumBeatMilliseconds = 60_000;

async function beat(client: Client, launch: string, first: string, signal: AbortSignal): Promise<void> {
  let until = Date.parse(first);
  while (!signal.aborted) {
    // NaN when the server named no time.
    const half = (until - Date.now()) / 2 || minimumBeatMilliseconds;
    const wait = Math.min(Math.max(minimumBeatMilliseconds, half), maximumBeatMilliseconds);
    try {
      await pause(wait, undefined, { signal, ref: false });
      until = Date.parse((await client.renewLaunch({ params: { id: launch }, signal })).heartbeatUntil);
    } catch (error) {
      // A workload must not end because nobody could be told that it runs; drift then says unknown.
      if (signal.aborted || (error instanceof StrongroomError && !error.retryable)) return;
    }
  }
}

/** The key that bound a launch may ask again for 60 s, so an answer lost on the way is no lost launch. */
const attempts = 3;
const attemptPauseMilliseconds = 500;

async function resolve(
  client: Client,
  id: string,
  names: readonly string[],
  signal: AbortSignal | undefined,
): Promise<DeliveredValues> {
  const { publicKey, privateKey } = await generateKeyPair('ECDH-ES', { crv: 'X25519' });
  const { x } = await exportJWK(publicKey);
  if (x === undefined) throw new TypeError('The ephemeral key has no public part');
  const input = {
    params: { id },
    body: { publicKey: { kty: 'OKP', crv: 'X25519', x } },
    ...(signal === undefined ? {} : { signal }),
  } as const;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { jwe, heartbeatUntil } = await client.resolveLaunch(input);
      return await openDelivery(jwe, id, names, privateKey, heartbeatUntil);
    } catch (error) {
      const mayRepeat = error instanceof StrongroomError && error.code === 'server_unreachable' && attempt < attempts;
      if (!mayRepeat) throw error;
      await pause(attemptPauseMilliseconds, undefined, signal === undefined ? {} : { signal });
    }
  }
}

/** Opens a delivery and checks that it is this launch's, whole, and nothing else. */
async function openDelivery(
  jwe: string,
  id: string,
  names: readonly string[],
  privateKey: CryptoKey | JWK,
  heartbeatUntil: string,
): Promise<DeliveredValues> {
  const values = new Map<string, Uint8Array>();
  let plaintext: Uint8Array | undefined;
  try {
    const header = decodeProtectedHeader(jwe);
    if (header.kid !== id || header['zip'] !== undefined) throw undecipherable();
    ({ plaintext } = await compactDecrypt(jwe, privateKey, {
      keyManagementAlgorithms: ['ECDH-ES'],
      contentEncryptionAlgorithms: ['A256GCM'],
    }));
    for (const [name, value] of readPayload(plaintext, id)) values.set(name, value);
  } catch {
    // One failure for all of them; what the parsers would say quotes what they read.
    throw undecipherable();
  } finally {
    plaintext?.fill(0);
  }
  const delivered = deliveredValues(id, heartbeatUntil, values);
  const missing = names.filter((name) => !values.has(name));
  if (missing.length > 0 || values.size !== new Set(names).size) {
    delivered.destroy();
    throw new StrongroomError('reference_unresolved', {
      detail:
        missing.length > 0 ? `Nothing was delivered for ${missing.join(', ')}.` : 'More was delivered than asked for.',
    });
  }
  return delivered;
}

function undecipherable(): StrongroomError {
  return new StrongroomError('launch_failed', {
    detail: 'The delivery could not be opened with this launch’s key.',
    hint: 'Start a new launch; if it happens again, something on the way changes the answers.',
  });
}

function* readPayload(plaintext: Uint8Array, id: string): Generator<[string, Uint8Array]> {
  const document: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(plaintext));
  if (!isRecord(document) || document['launch'] !== id || !Array.isArray(document['values'])) throw undecipherable();
  for (const item of document['values'] as unknown[]) {
    if (!isRecord(item)) throw undecipherable();
    const { name, valueBase64 } = item;
    if (typeof name !== 'string' || typeof valueBase64 !== 'string') throw undecipherable();
    const decoded = Buffer.from(valueBase64, 'base64');
    if (decoded.toString('base64') !== valueBase64) throw undecipherable();
    // A buffer of its own: zeroing it must not touch the pool that small buffers share.
    const bytes = Uint8Array.from(decoded);
    decoded.fill(0);
    yield [name, bytes];
  }
}

function deliveredValues(
  launch: string,
  heartbeatUntil: string,
  values: ReadonlyMap<string, Uint8Array>,
): DeliveredValues {
  const bytes = (name: string): Uint8Array => {
    const value = values.get(name);
    if (value === undefined) {
      throw new StrongroomError('reference_unresolved', { detail: `Nothing was delivered for ${name}.` });
    }
    return value;
  };
  const destroy = (): void => {
    for (const value of values.values()) value.fill(0);
  };
  return {
    launch,
    heartbeatUntil,
    names: [...values.keys()],
    bytes,
    text: (name) => {
      try {
        return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes(name));
      } catch (error) {
        if (error instanceof StrongroomError) throw error;
        throw new StrongroomError('launch_refused', { detail: `The value of ${name} is not UTF-8 text.` });
      }
    },
    destroy,
    [Symbol.dispose]: destroy,
  };
}
