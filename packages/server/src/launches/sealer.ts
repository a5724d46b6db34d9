import { StrongroomError } from '@strongroom/contract';
import type { SecretValue } from '@strongroom/crypto';
import { calculateJwkThumbprint, CompactEncrypt, importJWK } from 'jose';
import type { MaybePromise } from '../store/maybe-promise.ts';

/** A workload's ephemeral public key as it was sent. */
export interface EphemeralKey {
  readonly kty: 'OKP' | 'EC';
  readonly crv: 'X25519' | 'P-256';
  readonly x: string;
  readonly y?: string;
}

/** A key that was looked at: what binds a launch, and how to seal to it. */
export interface Recipient {
  /** RFC 7638, SHA-256. */
  readonly thumbprint: string;
  /** A compact JWE; the launch's id is in its protected header and so authenticated. */
  seal(launchId: string, payload: Uint8Array): MaybePromise<string>;
}

export interface Sealer {
  /** @throws StrongroomError `validation_failed` for what is no usable public key */
  recipient(key: EphemeralKey): MaybePromise<Recipient>;
}

/** ECDH-ES over X25519 (RFC 8037) or P-256 (RFC 7518 §4.6) with A256GCM, no compression (RFC 8725 §3.6). */
export function createSealer(): Sealer {
  return {
    async recipient({ kty, crv, x, y }) {
      const isX25519 = kty === 'OKP' && crv === 'X25519' && y === undefined;
      const isP256 = kty === 'EC' && crv === 'P-256' && y !== undefined;
      if (!isX25519 && !isP256) throw unusable('Send an X25519 key (kty OKP) or a P-256 key (kty EC, with y).');
      const jwk = isX25519 ? { kty, crv, x } : { kty, crv, x, y: y ?? '' };
      try {
        const thumbprint = await calculateJwkThumbprint(jwk, 'sha256');
        const publicKey = await importJWK(jwk, 'ECDH-ES');
        return {
          thumbprint,
          async seal(launchId, payload) {
            try {
              const encryption = new CompactEncrypt(payload);
              encryption.setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', kid: launchId });
              return await encryption.encrypt(publicKey);
            } catch {
              // A point of small order: the agreed secret would be no secret.
              throw unusable('No key can be agreed on with this public key.');
            }
          },
        };
      } catch (error) {
        if (error instanceof StrongroomError) throw error;
        throw unusable('It is no point of its curve.');
      }
    },
  };
}

function unusable(message: string): StrongroomError {
  return new StrongroomError('validation_failed', { errors: [{ pointer: '/publicKey', message }] });
}

const encoder = new TextEncoder();

/** Seals `{launch, values: [{name, valueBase64}]}`. Nothing in clear is left behind but the values themselves. */
export function sealValues(
  recipient: Recipient,
  launchId: string,
  values: readonly { readonly name: string; readonly value: SecretValue }[],
): MaybePromise<string> {
  const payload = deliveryPayload(launchId, values);
  let sealing: MaybePromise<string> = '';
  try {
    sealing = recipient.seal(launchId, payload);
  } finally {
    if (!(sealing instanceof Promise)) payload.fill(0);
  }
  return sealing instanceof Promise ? sealing.finally(() => payload.fill(0)) : sealing;
}

function deliveryPayload(
  launchId: string,
  values: readonly { readonly name: string; readonly value: SecretValue }[],
): Uint8Array {
  const items = values.map(({ name, value }) => {
    const bytes = value.reveal();
    const valueBase64 = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
    bytes.fill(0);
    return { name, valueBase64 };
  });
  return encoder.encode(JSON.stringify({ launch: launchId, values: items }));
}
