// Azure Key Vault and its sign-in cannot be installed: `node servers/azure-key-vault.ts` starts the double that tests use.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { azureClientId, azureTenant, startAzureKeyVault } from '../packages/backends/testing/azure-key-vault.ts';
import { runUntilInterrupted } from './command.ts';
import { temporaryFolder } from './lifetime.ts';

await runUntilInterrupted(
  async () => {
    const vault = await startAzureKeyVault();
    const authority = join(temporaryFolder('azure'), 'ca.pem');
    writeFileSync(authority, vault.caCertificate);
    vault.set('db-password', 'not a secret');
    return { vault, authority, stop: async () => vault[Symbol.asyncDispose]() };
  },
  ({ vault, authority }) => ({
    'what it is': 'a double written from Microsoft’s reference pages, not Azure',
    vault: `https://vault.localhost:${vault.port}`,
    'sign-in': `https://login.localhost:${vault.port}/${azureTenant}`,
    'client id': azureClientId,
    'client secret': vault.clientSecret,
    certificate: authority,
    secret: 'db-password',
  }),
);
