import type { VaultAuthentication } from '@strongroom/contract';
import type { BackendParts } from '../definition.ts';
import type { VaultConnection } from './connection.ts';
import { checkAudience, serviceAccountCredential } from './service-account-token.ts';
import { logIn, type SignIn } from './sign-in.ts';

type Settings = Extract<VaultAuthentication, { method: 'kubernetes' }>;

/**
 * https://developer.hashicorp.com/vault/api-docs/auth/kubernetes#login. The token is the server's own identity, so it isn't
 * a credential that somebody typed: whoever opens the backend decides whether this integration may have it.
 */
export function kubernetesSignIn(
  { role, mount = 'kubernetes', audience }: Settings,
  connection: VaultConnection,
  credential: BackendParts['credential'],
): SignIn {
  return {
    isRenewable: true,
    async obtain(signal) {
      const token = await credential(serviceAccountCredential);
      if (audience !== undefined) checkAudience(token, audience);
      return logIn(connection, { mount, body: { role }, field: 'jwt' }, token, signal);
    },
  };
}
