import type { AzureSettings } from '@strongroom/contract';
import { SecretValue } from '@strongroom/crypto';
import {
  type AzureAnswer,
  azureClientId,
  type AzureKeyVault,
  azureTenant,
  startAzureKeyVault,
} from './azure-key-vault.ts';
import { openAzure } from '../src/azure/open.ts';
import type { Backend } from '../src/backend.ts';
import type { ConformancePlace, InjectFault } from '../src/conformance/index.ts';
import { definition } from '../src/azure/index.ts';
import type { BackendDefinition, LentIdentity } from '../src/definition.ts';
import { createEgress, type Egress } from '../src/egress/index.ts';
import { canServeTls } from './certificate.ts';
import { FaultProxy } from './fault-proxy.ts';

export { canServeTls };

export interface AzureWorld extends AsyncDisposable {
  readonly vault: AzureKeyVault;
  readonly proxy: FaultProxy;
  readonly place: ConformancePlace;
  /** Azure’s, with the double in place of its vaults. */
  readonly definition: BackendDefinition<AzureSettings>;
  readonly settings: AzureSettings;
  open(options?: {
    readonly settings?: Partial<AzureSettings>;
    readonly clientSecret?: string;
    readonly lent?: LentIdentity;
  }): Backend;
  /** Every request to the vault is answered like this. */
  answering(answer: (echo: string) => AzureAnswer): InjectFault;
}

/** The double behind a proxy that brings troubles of the network about, with the guard of the embedded install. */
export async function startAzureWorld(): Promise<AzureWorld> {
  const vault = await startAzureKeyVault();
  const proxy = new FaultProxy(`https://127.0.0.1:${vault.port}`);
  await proxy.listen();
  const guard = createEgress({ allow: [], allowLoopback: true });
  // Its certificate is one that no system knows.
  const egress: Egress = {
    ...guard,
    request: (url, options) => guard.request(url, { ...options, ca: vault.caCertificate }),
  };
  const { port } = new URL(proxy.url);
  const cloud = { authority: `https://login.localhost:${port}`, vaultSuffix: '.localhost' };
  const ownSettings: AzureSettings = {
    vaultUrl: `https://vault.localhost:${port}`,
    authentication: { method: 'client-secret', tenantId: azureTenant, clientId: azureClientId },
  };
  return {
    vault,
    proxy,
    place: {
      seed: async (key, { value }) => vault.set(key, value.revealText()),
      remove: async (key) => vault.purge(key),
      softDelete: async (key) => vault.softDelete(key),
    },
    definition: { ...definition, open: async (own, parts) => openAzure(own, { ...parts, egress }, cloud) },
    settings: ownSettings,
    open: ({ settings = {}, clientSecret = vault.clientSecret, lent } = {}) =>
      openAzure(
        { ...ownSettings, ...settings },
        {
          egress,
          credential: () => Promise.resolve(SecretValue.fromText(clientSecret)),
          ...(lent === undefined ? {} : { lent }),
          now: Date.now,
        },
        cloud,
      ),
    answering: (answer) => async (echo) => {
      vault.script = (path) => (/^\/(?:deleted)?secrets/.test(path) ? answer(echo) : null);
      return async () => {
        vault.script = null;
      };
    },
    async [Symbol.asyncDispose]() {
      await guard.close();
      await proxy.close();
      await vault[Symbol.asyncDispose]();
    },
  };
}
