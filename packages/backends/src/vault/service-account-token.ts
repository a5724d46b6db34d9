import { open } from 'node:fs/promises';
import { StrongroomError } from '@strongroom/contract/core';
import { SecretValue } from '@strongroom/crypto';
import { own } from './json.ts';

/** The name under which a backend asks for the server's own ServiceAccount token. Nobody can store a credential of this name. */
export const serviceAccountCredential = 'serviceAccountToken';

/** Where Kubernetes puts it (https://kubernetes.io/docs/concepts/security/service-accounts/). */
const defaultFile = '/var/run/secrets/kubernetes.io/serviceaccount/token';
const maxBytes = 16_384;

/**
 * Reads the ServiceAccount token of the pod that this server runs in. It is read anew each time: Kubernetes replaces it
 * before it expires.
 *
 * Whoever gets it is this server to Kubernetes, so it goes only where a platform administrator said; best is a projected
 * token with an audience of its own, as `file`.
 *
 * @throws StrongroomError `key_unavailable` outside of a pod, or when the file isn't readable
 */
export async function readServiceAccountToken(file: string = defaultFile): Promise<SecretValue> {
  const bytes = Buffer.alloc(maxBytes);
  try {
    await using handle = await open(file, 'r');
    const { bytesRead } = await handle.read(bytes, 0, maxBytes, 0);
    const text = bytes.toString('latin1', 0, bytesRead).trim();
    if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(text) || bytesRead === maxBytes)
      throw new StrongroomError('key_unavailable', { detail: `The file ${file} holds no ServiceAccount token.` });
    return SecretValue.fromText(text);
  } catch (cause) {
    if (cause instanceof StrongroomError) throw cause;
    throw new StrongroomError('key_unavailable', {
      detail: `The ServiceAccount token ${file} can not be read: this server runs in no pod, or in one without it.`,
      cause,
    });
  } finally {
    bytes.fill(0);
  }
}

/**
 * A token is only sent when it is meant for the audience. Its signature is Vault's to check.
 *
 * @throws StrongroomError `backend_denied`; then the token is destroyed
 */
export function checkAudience(token: SecretValue, audience: string): void {
  const audiences = own(claimsOf(token), 'aud');
  const list: readonly unknown[] = Array.isArray(audiences) ? audiences : [audiences];
  if (list.includes(audience)) return;
  token.destroy();
  throw new StrongroomError('backend_denied', {
    detail: `The ServiceAccount token of this server is not meant for the audience ${audience}, so it was not sent.`,
    hint: 'Mount a projected ServiceAccount token with this audience, or ask the operator of this server.',
  });
}

function claimsOf(token: SecretValue): unknown {
  const [, payload = ''] = token.revealText().split('.');
  try {
    return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as unknown;
  } catch (error) {
    // The parser quotes its input.
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
