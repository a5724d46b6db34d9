import type { VaultAuthentication } from '@strongroom/contract';
import type { BackendParts } from '../definition.ts';
import type { VaultConnection } from './connection.ts';
import { logIn, type SignIn } from './sign-in.ts';

type Settings = Extract<VaultAuthentication, { method: 'jwt' }>;

/** https://developer.hashicorp.com/vault/api-docs/auth/jwt#jwt-login */
export function jwtSignIn(
  { role, mount = 'jwt' }: Settings,
  connection: VaultConnection,
  credential: BackendParts['credential'],
): SignIn {
  return {
    isRenewable: true,
    obtain: async (signal) =>
      logIn(connection, { mount, body: { role }, field: 'jwt' }, await credential('jwt'), signal),
  };
}
