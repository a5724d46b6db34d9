import { Type, type Static } from 'typebox';
import { Closed } from '../route.ts';
import type { BackendDeclaration } from './declaration.ts';

const guid = '[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}';
const clientId = Type.String({ pattern: `^${guid}$`, description: 'Client id (application id)' });
const tenantId = Type.String({
  pattern: `^(?:${guid}|[A-Za-z0-9-]{1,63}(?:\\.[A-Za-z0-9-]{1,63}){1,4})$`,
  description: 'Directory (tenant) that the application is in',
});
const identity = Type.String({ pattern: `^${guid}$`, description: 'Client id of the identity; a profile lends it' });

const authentication = Type.Union([
  Closed({ method: Type.Literal('client-secret'), tenantId, clientId }, { title: 'Client secret' }),
  Closed({ method: Type.Literal('client-certificate'), tenantId, clientId }, { title: 'Client certificate' }),
  Closed(
    { method: Type.Literal('managed-identity'), clientId: identity },
    { title: 'Managed identity of this server, which a profile lends' },
  ),
  Closed(
    { method: Type.Literal('workload-identity'), clientId: identity },
    { title: 'Workload identity of this server’s ServiceAccount, which a profile lends' },
  ),
]);

/** What is wrong with a certificate; `null`: nothing that can be seen without reading it. */
function certificateProblem(text: string): string | null {
  const isWhole = [/-----BEGIN CERTIFICATE-----/, /-----BEGIN (?:RSA )?PRIVATE KEY-----/].every((label) =>
    label.test(text),
  );
  return isWhole ? null : 'is no certificate with its private key, in PEM';
}

const settings = Closed({
  vaultUrl: Type.String({
    maxLength: 2048,
    pattern: String.raw`^https://[^\s/?#@\\%]+/?$`,
    description: 'The vault’s own address',
    examples: ['https://finance-prod.vault.azure.net'],
  }),
  cloud: Type.Optional(
    Type.Enum(['public', 'us-government', 'china'], {
      default: 'public',
      description: 'Which cloud the vault is in; it says where the application signs in',
    }),
  ),
  authentication,
});

/** Azure Key Vault, secrets only, only read: https://learn.microsoft.com/rest/api/keyvault/secrets/. */
export const azureBackend = {
  type: 'AZURE',
  title: 'Azure Key Vault',
  settings,
  credentials: {
    clientSecret: { title: 'Client secret', methods: ['client-secret'], maxBytes: 1024 },
    clientCertificate: {
      title: 'Client certificate and its private key, PEM',
      methods: ['client-certificate'],
      maxBytes: 65_536,
      problem: certificateProblem,
    },
  },
  rebinds: ['/vaultUrl', '/cloud', '/authentication/method', '/authentication/tenantId', '/authentication/clientId'],
  vendorHosts: ['.vault.azure.net', '.vault.usgovcloudapi.net', '.vault.azure.cn'],
} as const satisfies BackendDeclaration<'AZURE', typeof settings>;

export type AzureSettings = Static<typeof settings>;
export type AzureAuthentication = AzureSettings['authentication'];
