import type { GoogleSettings } from '@strongroom/contract';
import { SecretValue } from '@strongroom/crypto';
import type { Backend } from '../src/backend.ts';
import type { ConformancePlace, InjectFault } from '../src/conformance/index.ts';
import type { BackendDefinition, BackendParts, LentIdentity } from '../src/definition.ts';
import { createEgress } from '../src/egress/index.ts';
import type { GoogleCloud } from '../src/google/cloud.ts';
import { definition } from '../src/google/index.ts';
import { openGoogle } from '../src/google/open.ts';
import { canServeTls, type Certificate, makeCertificate } from './certificate.ts';
import { FaultProxy } from './fault-proxy.ts';
import {
  type GoogleAnswer,
  googleProject,
  type GoogleSecretManager,
  startGoogleSecretManager,
} from './google-secret-manager.ts';
import { type GoogleTokens, startGoogleTokens } from './google-tokens.ts';

export { canServeTls };

export interface GoogleWorld extends AsyncDisposable {
  readonly manager: GoogleSecretManager;
  readonly tokens: GoogleTokens;
  readonly proxy: FaultProxy;
  readonly certificate: Certificate;
  readonly place: ConformancePlace;
  /** What the registry has for Google, with the identities of the doubles. */
  readonly definition: BackendDefinition<GoogleSettings>;
  /** What leads here by a service account's key. */
  settings(change?: Partial<GoogleSettings>): GoogleSettings;
  open(options?: {
    readonly settings?: Partial<GoogleSettings>;
    readonly serviceAccountKey?: string;
    readonly lent?: LentIdentity;
    readonly egress?: BackendParts['egress'];
  }): Backend;
  /** Every request is answered like this. */
  answering(answer: (echo: string) => GoogleAnswer): InjectFault;
}

/** The doubles, that of Secret Manager behind a proxy that brings troubles of the network about, with the guard of the embedded install. */
export async function startGoogleWorld(): Promise<GoogleWorld> {
  const certificate = makeCertificate([
    'secretmanager.localhost',
    'secretmanager.example',
    'oauth2.localhost',
    'iamcredentials.localhost',
  ]);
  const manager = await startGoogleSecretManager(certificate);
  const tokens = await startGoogleTokens(certificate, manager.tokens);
  const proxy = new FaultProxy(`https://127.0.0.1:${manager.port}`);
  await proxy.listen();
  const guard = createEgress({ allow: [], allowLoopback: true });
  const opened: Backend[] = [];
  const cloud: GoogleCloud = {
    hosts: ['.localhost'],
    tokenUrl: `https://oauth2.localhost:${tokens.port}/token`,
    impersonationUrl: `https://iamcredentials.localhost:${tokens.port}`,
    ca: certificate.certificate,
  };
  const settings: GoogleWorld['settings'] = (change = {}) => ({
    project: googleProject,
    endpoint: `https://secretmanager.localhost:${new URL(proxy.url).port}`,
    authentication: { method: 'service-account' },
    ...change,
  });
  return {
    manager,
    tokens,
    proxy,
    certificate,
    definition: { ...definition, open: async (own, parts) => openGoogle(own, parts, cloud) },
    settings,
    place: {
      seed: async (key, { value }) => manager.set(key, value.reveal()),
      remove: async (key) => manager.delete(key),
      softDelete: async (key) => manager.setState(key, 'DISABLED'),
    },
    open: ({ settings: change = {}, serviceAccountKey = tokens.serviceAccountKey, lent, egress = guard } = {}) => {
      const backend = openGoogle(
        settings(change),
        {
          egress,
          credential: () => Promise.resolve(SecretValue.fromText(serviceAccountKey)),
          ...(lent === undefined ? {} : { lent }),
          now: Date.now,
        },
        cloud,
      );
      opened.push(backend);
      return backend;
    },
    answering: (answer) => async (echo) => {
      manager.script = () => answer(echo);
      return async () => {
        manager.script = null;
      };
    },
    async [Symbol.asyncDispose]() {
      // Each has a socket in the temporary folder.
      await Promise.all(opened.map((backend) => backend.close()));
      await guard.close();
      await proxy.close();
      await tokens[Symbol.asyncDispose]();
      await manager[Symbol.asyncDispose]();
    },
  };
}
