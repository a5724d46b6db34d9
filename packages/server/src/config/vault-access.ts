import { vaultBackend } from '@strongroom/contract';
import { Type } from 'typebox';

const { address, namespace } = vaultBackend.settings.properties;
const Word = (description: string) => Type.String({ minLength: 1, maxLength: 4096, pattern: '^[!-~]+$', description });
const Path = (description: string) => Type.String({ minLength: 1, maxLength: 4096, description });

const vaultMethods = ['token', 'app-role', 'kubernetes', 'jwt'] as const;

/** Settings of a Vault that the operator names; its credential is in a file, read anew when it is needed. */
export const vaultAccess = {
  address: Type.Optional(address),
  namespace: Type.Optional(namespace),
  caFile: Type.Optional(Path('PEM file of the authority that Vault’s certificate is checked with')),
  method: Type.Union(
    vaultMethods.map((method) => Type.Literal(method)),
    { default: 'token', description: 'How to sign in to Vault' },
  ),
  mount: Type.Optional(Word('Where the method is mounted, when it is elsewhere than usual')),
  roleId: Type.Optional(Word('Method app-role: the role id')),
  role: Type.Optional(Word('Methods kubernetes and jwt: the role')),
  credentialFile: Type.Optional(
    Path('File of the token, the secret id or the JWT; of the ServiceAccount token, when it isn’t at its usual place'),
  ),
} as const;
