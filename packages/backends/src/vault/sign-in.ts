import { StrongroomError } from '@strongroom/contract/core';
import type { VaultAuthentication } from '@strongroom/contract';
import { SecretValue } from '@strongroom/crypto';
import type { BackendParts } from '../definition.ts';
import { appRoleSignIn } from './auth-app-role.ts';
import { jwtSignIn } from './auth-jwt.ts';
import { kubernetesSignIn } from './auth-kubernetes.ts';
import { tokenSignIn } from './auth-token.ts';
import type { VaultAnswer, VaultConnection } from './connection.ts';
import { explained, loginFailureOf } from './failures.ts';
import { own } from './json.ts';
import { malformed } from './statuses.ts';

export interface IssuedToken {
  readonly value: SecretValue;
  /** 0: it has no end of its own. */
  readonly leaseSeconds: number;
  /** Requests it is good for; 0: any number. */
  readonly uses: number;
}

/** How a token is come by. One file for each method. */
export interface SignIn {
  /** Another one can be had: a refused token is worth one more log-in. */
  readonly isRenewable: boolean;
  /** @throws StrongroomError `backend_denied` when Vault refuses; what `credential` throws when there is none */
  obtain(signal: AbortSignal): Promise<IssuedToken>;
}

export function createSignIn(
  authentication: VaultAuthentication,
  connection: VaultConnection,
  credential: BackendParts['credential'],
): SignIn {
  switch (authentication.method) {
    case 'app-role':
      return appRoleSignIn(authentication, connection, credential);
    case 'token':
      return tokenSignIn(credential);
    case 'kubernetes':
      return kubernetesSignIn(authentication, connection, credential);
    case 'jwt':
      return jwtSignIn(authentication, connection, credential);
  }
}

/**
 * Sends a log-in with the credential in it and reads the token from the answer
 * (https://developer.hashicorp.com/vault/api-docs/auth).
 *
 * @param field of the body that holds the credential, which is destroyed
 */
export async function logIn(
  connection: VaultConnection,
  login: { readonly mount: string; readonly body: Readonly<Record<string, string>>; readonly field: string },
  credential: SecretValue,
  signal: AbortSignal,
): Promise<IssuedToken> {
  const body = SecretValue.fromText(JSON.stringify({ ...login.body, [login.field]: textOf(credential) }));
  try {
    const answer = await sendLogIn(connection, login.mount, body, signal);
    if (answer.status !== 200) throw await loginFailureOf(answer, connection, signal);
    return readToken(answer);
  } finally {
    body.destroy();
  }
}

async function sendLogIn(connection: VaultConnection, mount: string, body: SecretValue, signal: AbortSignal) {
  try {
    return await connection.logIn(mount, body, signal);
  } catch (error) {
    throw await explained(error, connection, signal);
  }
}

/** The credential's text; destroys it. */
function textOf(credential: SecretValue): string {
  try {
    return credential.revealText();
  } catch {
    throw new StrongroomError('validation_failed', { detail: 'The credential for Vault is not text.' });
  } finally {
    credential.destroy();
  }
}

function readToken({ body }: VaultAnswer): IssuedToken {
  const auth = own(body, 'auth');
  const [value, lease, uses] = [own(auth, 'client_token'), own(auth, 'lease_duration'), own(auth, 'num_uses') ?? 0];
  if (own(auth, 'mfa_requirement') !== undefined && own(auth, 'mfa_requirement') !== null)
    throw new StrongroomError('backend_denied', { detail: 'Vault asks for a second factor, which a program has not.' });
  const isRead = typeof value === 'string' && /^[!-~]{1,16384}$/.test(value) && isCount(lease) && isCount(uses);
  if (!isRead) throw malformed('log-in');
  return { value: SecretValue.fromText(value), leaseSeconds: lease, uses };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}
