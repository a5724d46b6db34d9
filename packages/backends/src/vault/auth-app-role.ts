import type { VaultAuthentication } from '@strongroom/contract';
import type { BackendParts } from '../definition.ts';
import type { VaultConnection } from './connection.ts';
import { logIn, type SignIn } from './sign-in.ts';

type Settings = Extract<VaultAuthentication, { method: 'app-role' }>;

/** https://developer.hashicorp.com/vault/api-docs/auth/approle#login-with-approle */
export function appRoleSignIn(
  { roleId, mount = 'approle' }: Settings,
  connection: VaultConnection,
  credential: BackendParts['credential'],
): SignIn {
  return {
    isRenewable: true,
    obtain: async (signal) =>
      logIn(connection, { mount, body: { role_id: roleId }, field: 'secret_id' }, await credential('secretId'), signal),
  };
}
