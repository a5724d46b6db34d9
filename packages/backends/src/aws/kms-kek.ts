import { DecryptCommand, EncryptCommand, KMSClient } from '@aws-sdk/client-kms';
import { StrongroomError } from '@strongroom/contract/core';
import { CryptoError, type Kek, kekFromBytes } from '@strongroom/crypto';
import type { Egress } from '../egress/index.ts';
import { VendorFailure } from '../vendor-failure.ts';
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
    const { CiphertextBlob: blob } = await send(settings, egress, 'encrypting with KMS', signal, (kms, options) =>
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
  const { Plaintext: bytes } = await send(settings, egress, 'decrypting with KMS', signal, (kms, options) =>
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

/**
 * What is wrong with the key or the blob, by the name of KMS's error:
 * https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html#API_Decrypt_Errors
 */
const aboutTheKey: ReadonlyMap<string, { readonly detail: string; readonly hint: string }> = new Map([
  ['DisabledException', { detail: 'The key in KMS is disabled.', hint: 'Enable it again: aws kms enable-key.' }],
  [
    'KMSInvalidStateException',
    {
      detail: 'The key in KMS is about to be deleted, or not in use for another reason.',
      hint: 'Look at its state. aws kms cancel-key-deletion and enable-key bring it back, as long as it is there.',
    },
  ],
  [
    'NotFoundException',
    { detail: 'KMS has no such key in this account and region.', hint: 'Check the ARN of the key and the endpoint.' },
  ],
  [
    'IncorrectKeyException',
    { detail: 'Another key in KMS encrypted this key-encryption key.', hint: 'Configure the ARN of that one.' },
  ],
  [
    'InvalidCiphertextException',
    {
      detail: 'KMS does not decrypt this key-encryption key: it was changed, or it is another installation’s.',
      hint: 'Put its file back as it was, or recover it with strongroom recovery restore.',
    },
  ],
  [
    'InvalidKeyUsageException',
    {
      detail: 'The key in KMS is not for encryption.',
      hint: 'Take a symmetric key: SYMMETRIC_DEFAULT, ENCRYPT_DECRYPT.',
    },
  ],
]);

const policyHint =
  'The server’s identity at AWS needs kms:Encrypt and kms:Decrypt on this key: check its policies and the key’s.';

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
    throw kmsFailure(error, about);
  } finally {
    kms.destroy();
  }
}

/** Nothing of the SDK's error is kept but its name. */
function kmsFailure(error: unknown, about: string): StrongroomError {
  const known = error instanceof Error && '$response' in error ? aboutTheKey.get(error.name) : undefined;
  if (known !== undefined) return new StrongroomError('key_unavailable', known);
  const failure = awsFailure(error, about);
  const isOfPolicy = failure instanceof VendorFailure && failure.code === 'backend_denied' && !failure.isOfIdentity;
  return isOfPolicy ? new StrongroomError('backend_denied', { detail: failure.message, hint: policyHint }) : failure;
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
