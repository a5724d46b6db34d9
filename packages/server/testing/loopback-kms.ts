import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

type KeyState = 'enabled' | 'disabled' | 'pending-deletion' | 'of-signing';

/** What it answers everything with. */
export type KmsTrouble = 'none' | 'page' | 'throttled' | 'failing' | 'signature';

export interface KmsCall {
  readonly action: string;
  readonly keyArn: string;
  readonly context: Readonly<Record<string, string>>;
}

/**
 * The two calls of AWS KMS that a key-encryption key needs, on loopback, with real encryption. It is no KMS: it knows nothing of
 * signatures, and of policies only {@link LoopbackKms.denied}. For what moto can't be brought to say.
 */
export interface LoopbackKms extends AsyncDisposable {
  readonly url: string;
  readonly calls: readonly KmsCall[];
  readonly states: Map<string, KeyState>;
  /** Actions that are refused. */
  readonly denied: Set<string>;
  trouble: KmsTrouble;
  /** @returns its ARN */
  createKey(): string;
}

class KmsError extends Error {
  readonly status: number;

  constructor(name: string, status = 400) {
    super(name);
    this.status = status;
  }
}

const ofTrouble: Readonly<Partial<Record<KmsTrouble, () => KmsError>>> = {
  throttled: () => new KmsError('ThrottlingException'),
  failing: () => new KmsError('KMSInternalException', 500),
  signature: () => new KmsError('InvalidSignatureException'),
};
const ofState: Readonly<Partial<Record<KeyState, string>>> = {
  disabled: 'DisabledException',
  'pending-deletion': 'KMSInvalidStateException',
  'of-signing': 'InvalidKeyUsageException',
};

interface Input {
  readonly KeyId: string;
  readonly Plaintext?: string;
  readonly CiphertextBlob?: string;
  readonly EncryptionContext: Readonly<Record<string, string>>;
}

/** @param region of its keys */
export async function startLoopbackKms(region = 'us-east-1'): Promise<LoopbackKms> {
  const keys = new Map<string, Buffer>();
  const calls: KmsCall[] = [];
  const state = { states: new Map<string, KeyState>(), denied: new Set<string>(), trouble: 'none' as KmsTrouble };

  const answer = (action: string, { KeyId: arn, Plaintext, CiphertextBlob, EncryptionContext }: Input): object => {
    const troubled = ofTrouble[state.trouble]?.();
    if (troubled !== undefined) throw troubled;
    const key = keys.get(arn);
    if (key === undefined) throw new KmsError('NotFoundException');
    if (state.denied.has(action)) throw new KmsError('AccessDeniedException');
    const refusal = ofState[state.states.get(arn) ?? 'enabled'];
    if (refusal !== undefined) throw new KmsError(refusal);
    const context = Buffer.from(JSON.stringify(Object.entries(EncryptionContext).toSorted()));
    if (action === 'Encrypt') return { KeyId: arn, CiphertextBlob: seal(arn, key, context, Plaintext ?? '') };
    return { KeyId: arn, Plaintext: unseal(arn, key, context, CiphertextBlob ?? '') };
  };

  const server = createServer((incoming, outgoing) => {
    void (async () => {
      const input = JSON.parse(Buffer.concat(await incoming.toArray()).toString('utf8')) as Input;
      const action = String(incoming.headers['x-amz-target']).replace('TrentService.', '');
      calls.push({ action, keyArn: input.KeyId, context: input.EncryptionContext });
      const send = (status: number, type: string, body: string): void => {
        outgoing.writeHead(status, { 'content-type': type });
        outgoing.end(body);
      };
      if (state.trouble === 'page') return send(200, 'text/html', '<p>Please log in</p>');
      try {
        send(200, 'application/x-amz-json-1.1', JSON.stringify(answer(action, input)));
      } catch (error) {
        const { message, status } = error instanceof KmsError ? error : new KmsError('InternalFailure', 500);
        send(status, 'application/x-amz-json-1.1', JSON.stringify({ __type: message, message: 'as a test wants it' }));
      }
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(state, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    createKey: () => {
      const arn = `arn:aws:kms:${region}:123456789012:key/${randomUUID()}`;
      keys.set(arn, randomBytes(32));
      return arn;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  });
}

/** ARN, line end, nonce, tag, ciphertext. */
function seal(arn: string, key: Buffer, context: Buffer, plaintext: string): string {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(context);
  const sealed = Buffer.concat([cipher.update(Buffer.from(plaintext, 'base64')), cipher.final()]);
  return Buffer.concat([Buffer.from(`${arn}\n`), nonce, cipher.getAuthTag(), sealed]).toString('base64');
}

function unseal(arn: string, key: Buffer, context: Buffer, blob: string): string {
  const bytes = Buffer.from(blob, 'base64');
  const end = bytes.indexOf('\n');
  if (end === -1) throw new KmsError('InvalidCiphertextException');
  if (bytes.toString('utf8', 0, end) !== arn) throw new KmsError('IncorrectKeyException');
  const [nonce, tag, sealed] = [
    bytes.subarray(end + 1, end + 13),
    bytes.subarray(end + 13, end + 29),
    bytes.subarray(end + 29),
  ];
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, nonce).setAAD(context).setAuthTag(tag);
    return Buffer.concat([decipher.update(sealed), decipher.final()]).toString('base64');
  } catch {
    // Node says no more than that it did not authenticate.
    throw new KmsError('InvalidCiphertextException');
  }
}

/** Settings of a server that keeps its key there, and what its process needs in the environment. */
export function kmsSettings(kms: Pick<LoopbackKms, 'url'>, keyArn: string): Readonly<Record<string, string>> {
  return {
    STRONGROOM_KEK_SOURCE: 'aws-kms',
    STRONGROOM_KEK_AWS_KMS_KEY_ARN: keyArn,
    STRONGROOM_KEK_AWS_KMS_ENDPOINT: kms.url,
  };
}

export const kmsIdentity = { AWS_ACCESS_KEY_ID: 'any', AWS_SECRET_ACCESS_KEY: 'any' } as const;
