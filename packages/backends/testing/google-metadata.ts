// A double of the metadata server of a machine at Google, in this process, written from Google's pages:
// https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface GoogleMetadata extends AsyncDisposable {
  /** `127.0.0.1:PORT`, as `GCE_METADATA_HOST` names it. */
  readonly host: string;
  readonly requests: readonly string[];
}

/** @param tokens where those that it gives are written */
export async function startGoogleMetadata(tokens: Set<string>): Promise<GoogleMetadata> {
  const requests: string[] = [];
  const answers: Readonly<Record<string, () => string>> = {
    '/computeMetadata/v1/instance': () => '{}',
    '/computeMetadata/v1/universe/universe-domain': () => 'googleapis.com',
    '/computeMetadata/v1/instance/service-accounts/default/token': () => {
      const token = `ya29.canary-token-of-the-machine-${randomBytes(12).toString('hex')}`;
      tokens.add(token);
      return JSON.stringify({ access_token: token, expires_in: 3599, token_type: 'Bearer' });
    },
  };
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0] ?? '';
    requests.push(path);
    const answer = request.headers['metadata-flavor'] === 'Google' ? answers[path] : undefined;
    response.writeHead(answer === undefined ? 404 : 200, {
      'metadata-flavor': 'Google',
      'content-type': path.endsWith('/token') ? 'application/json' : 'application/text',
    });
    response.end(answer?.() ?? 'not found');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
