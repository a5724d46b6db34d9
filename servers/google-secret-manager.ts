// Google Secret Manager cannot be installed: `node servers/google-secret-manager.ts` starts the double that tests use.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeCertificate } from '../packages/backends/testing/certificate.ts';
import { googleProject, startGoogleSecretManager } from '../packages/backends/testing/google-secret-manager.ts';
import { startGoogleTokens } from '../packages/backends/testing/google-tokens.ts';
import { runUntilInterrupted } from './command.ts';
import { temporaryFolder } from './lifetime.ts';

await runUntilInterrupted(
  async () => {
    const certificate = makeCertificate(['secretmanager.localhost', 'oauth2.localhost', 'iamcredentials.localhost']);
    const manager = await startGoogleSecretManager(certificate);
    const tokens = await startGoogleTokens(certificate, manager.tokens);
    const folder = temporaryFolder('google');
    const authority = join(folder, 'ca.pem');
    const key = join(folder, 'service-account.json');
    writeFileSync(authority, certificate.certificate);
    writeFileSync(key, tokens.serviceAccountKey, { mode: 0o600 });
    manager.set('db-password', Buffer.from('not a secret'));
    const stop = async (): Promise<void> => {
      await tokens[Symbol.asyncDispose]();
      await manager[Symbol.asyncDispose]();
    };
    return { manager, tokens, authority, key, stop };
  },
  ({ manager, tokens, authority, key }) => ({
    'what it is': 'a double over Google’s own gRPC definitions, not Google',
    'secret manager': `https://secretmanager.localhost:${manager.port}`,
    'token endpoint': `https://oauth2.localhost:${tokens.port}/token`,
    project: googleProject,
    'service account key': key,
    certificate: authority,
    secret: 'db-password',
  }),
);
