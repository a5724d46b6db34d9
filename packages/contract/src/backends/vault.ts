import { Type, type Static } from 'typebox';
import { Closed } from '../route.ts';
import { maxVaultPathLength, vaultPathPattern, vaultSegmentsPattern } from '../vault-path.ts';
import type { BackendDeclaration } from './declaration.ts';

const mount = (example: string) =>
  Type.Optional(
    Type.String({
      pattern: vaultSegmentsPattern,
      maxLength: maxVaultPathLength,
      default: example,
      description: `Where the authentication method is mounted; ${example} without it`,
      examples: [example],
    }),
  );

const role = Type.String({ minLength: 1, maxLength: 253, pattern: '^[!-~]+$', description: 'Role at the method' });

const authentication = Type.Union([
  Closed(
    {
      method: Type.Literal('app-role'),
      roleId: Type.String({ minLength: 1, maxLength: 4096, pattern: '^[!-~]+$' }),
      mount: mount('approle'),
    },
    { title: 'AppRole: role id and secret id' },
  ),
  Closed({ method: Type.Literal('token') }, { title: 'Token' }),
  Closed(
    {
      method: Type.Literal('kubernetes'),
      role,
      mount: mount('kubernetes'),
      audience: Type.Optional(
        Type.String({
          minLength: 1,
          maxLength: 253,
          pattern: '^[!-~]+$',
          description: 'What the ServiceAccount token must be meant for; a token with another audience is not sent',
        }),
      ),
    },
    { title: 'Kubernetes: the ServiceAccount of this server, where its operator allows that' },
  ),
  Closed({ method: Type.Literal('jwt'), role, mount: mount('jwt') }, { title: 'JWT' }),
]);

const settings = Closed({
  address: Type.String({
    minLength: 1,
    maxLength: 2048,
    pattern: String.raw`^https?://[^\s/?#@\\%]+(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)*/?$`,
    description: 'Base URL of Vault or OpenBao; https, or http on the server’s own machine',
    examples: ['https://vault.example.com:8200'],
  }),
  path: Type.String({
    pattern: vaultPathPattern,
    maxLength: maxVaultPathLength,
    description: 'Where the secrets are, in a KV version 2 engine: /v1/MOUNT/data/PATH',
    examples: ['/v1/secret/data/production'],
  }),
  namespace: Type.Optional(
    Type.String({
      pattern: String.raw`^(?!\.{1,2}(?:/|$))[!-$&-.0-\[\]-~]+(?:/(?!\.{1,2}(?:/|$))[!-$&-.0-\[\]-~]+)*$`,
      maxLength: maxVaultPathLength,
      description: 'Namespace of Vault Enterprise or OpenBao, sent as X-Vault-Namespace; the root namespace without it',
      examples: ['teams/finance'],
    }),
  ),
  layout: Type.Optional(
    Type.Enum(['secret-per-key', 'fields'], {
      default: 'secret-per-key',
      description:
        'secret-per-key: each secret below the path is a key, its field `value` the value; fields: the path is one secret, each of its fields is a key',
    }),
  ),
  caCertificate: Type.Optional(
    Type.String({
      maxLength: 65_536,
      pattern: '^\\s*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\\s-]+-----END CERTIFICATE-----\\s*$',
      description: 'Authority that the server’s certificate is checked with, PEM; the system’s authorities without it',
    }),
  ),
  authentication,
});

/**
 * Vault and OpenBao, KV version 2, only read. Addresses, names and headers as in
 * https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2.
 */
export const vaultBackend = {
  type: 'VAULT',
  title: 'HashiCorp Vault or OpenBao',
  settings,
  credentials: {
    secretId: { title: 'Secret id', methods: ['app-role'], maxBytes: 4096 },
    token: { title: 'Token', methods: ['token'], maxBytes: 16_384 },
    jwt: { title: 'JWT', methods: ['jwt'], maxBytes: 16_384 },
  },
  rebinds: ['/address', '/namespace', '/caCertificate', '/authentication/method', '/authentication/mount'],
} as const satisfies BackendDeclaration<'VAULT', typeof settings>;

export type VaultSettings = Static<typeof settings>;
export type VaultAuthentication = VaultSettings['authentication'];
