import { DecryptCommand, EncryptCommand, KMSClient } from '@aws-sdk/client-kms';
import { StrongroomError } from '@strongroom/contract/core';
import { CryptoError, type Kek, kekFromBytes } from '@strongroom/crypto';
import type { Egress } from '../egress/index.ts';
import { untilAborted } from '../wrappers/deadline.ts';
import { serverIdentity } from './default-chain.ts';
import { checkEndpoint, endpointOf } from './endpoint.ts';
import { awsFailure } from './failures.ts';
import { createRequestHandler } from './request-handler.ts';
import { sdkOptions } from './sdk-options.ts';

/** Which key of KMS protects the key-encryption key. It is the operator's: the server's own identity uses it. */
export interface KmsKekSettings {
  readonly region: string;
  /** ARN of the key, or of an alias. Symmetric, for encryption. */
  readonly keyArn: string;
  /** In place of the region's own. */
  readonly endpoint?: string;
  /**
   * Authenticated with the blob, and seen in CloudTrail: no secrets. The same is needed to decrypt. `purpose` is ours.
   * https://docs.aws.amazon.com/kms/latest/developerguide/encrypt_context.html
   */
  readonly context?: Readonly<Record<string, string>>;
}

/** https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html */
const maxBlobBytes = 6144;
const purpose = 'strongroom-kek';

/**
 * The blob that stands for a key-encryption key where the server keeps it: only KMS can read it.
 *
 * @throws StrongroomError what asking KMS throws (`backend_unavailable`, `backend_denied`, `backend_throttled`, …),
 * `key_unavailable` when the key is not there, disabled or pending deletion
 */
export async function wrapKmsKek(
  settings: KmsKekSettings,
  kek: Kek,
  egress: Egress,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const bytes = kek.revealKekBytes();
  try {
    const { CiphertextBlob: blob } = await send(settings, egress, 'encrypting', signal, (kms, options) =>
      kms.send(
        new EncryptCommand({ KeyId: settings.keyArn, Plaintext: bytes, EncryptionContext: contextOf(settings) }),
        options,
      ),
    );
    if (!(blob instanceof Uint8Array) || blob.length === 0 || blob.length > maxBlobBytes) throw notItsOwn();
    return Uint8Array.from(blob);
  } finally {
    bytes.fill(0);
  }
}

/**
 * Reads a key-encryption key from the blob of {@link wrapKmsKek}.
 *
 * @throws StrongroomError `key_unavailable` when KMS does not decrypt the blob: another key or context, changed bytes, a key
 * that is not there, disabled or pending deletion; else what asking KMS throws. No error holds a part of the key.
 */
export async function unwrapKmsKek(
  settings: KmsKekSettings,
  blob: Uint8Array,
  egress: Egress,
  signal: AbortSignal,
): Promise<Kek> {
  if (blob.length === 0 || blob.length > maxBlobBytes)
    throw unavailable(`The blob of the key-encryption key has 1 to ${maxBlobBytes} bytes.`);
  const { Plaintext: bytes } = await send(settings, egress, 'decrypting', signal, (kms, options) =>
    kms.send(
      new DecryptCommand({ KeyId: settings.keyArn, CiphertextBlob: blob, EncryptionContext: contextOf(settings) }),
      options,
    ),
  );
  if (!(bytes instanceof Uint8Array)) throw notItsOwn();
  try {
    return kekFromBytes(bytes);
  } catch (error) {
    if (error instanceof CryptoError) throw unavailable(`${error.message} (by KMS).`);
    throw error;
  } finally {
    bytes.fill(0);
  }
}

/** Errors of KMS that are about the key or the blob, by their names. */
const aboutTheKey: ReadonlySet<string> = new Set([
  'DisabledException',
  'IncorrectKeyException',
  'InvalidCiphertextException',
  'InvalidKeyUsageException',
  'KMSInvalidStateException',
  'KeyUnavailableException',
  'NotFoundException',
]);

async function send<Answer>(
  { region, endpoint: typed }: KmsKekSettings,
  egress: Egress,
  about: string,
  signal: AbortSignal,
  run: (kms: KMSClient, options: { readonly abortSignal: AbortSignal }) => Promise<Answer>,
): Promise<Answer> {
  const regional = new KMSClient({ ...sdkOptions, region }).config.endpointProvider({
    Region: region,
    UseDualStack: false,
    UseFIPS: false,
  });
  const endpoint = endpointOf(regional.url, typed);
  checkEndpoint(endpoint, egress);
  const requestHandler = createRequestHandler(egress, endpoint.rules);
  const kms = new KMSClient({
    ...sdkOptions,
    region,
    endpoint: endpoint.url,
    credentials: serverIdentity,
    requestHandler,
  });
  try {
    return await untilAborted(run(kms, { abortSignal: signal }), signal);
  } catch (error) {
    if (error instanceof Error && '$response' in error && aboutTheKey.has(error.name))
      throw unavailable('KMS has no such key, or it may not be used, or it did not encrypt this key-encryption key.');
    throw awsFailure(error, about);
  } finally {
    kms.destroy();
  }
}

function contextOf({ context }: KmsKekSettings): Record<string, string> {
  return { ...context, purpose };
}

function unavailable(detail: string): StrongroomError {
  return new StrongroomError('key_unavailable', { detail });
}

function notItsOwn(): StrongroomError {
  return new StrongroomError('backend_malformed', { detail: 'What came from KMS is not its answer.' });
}
