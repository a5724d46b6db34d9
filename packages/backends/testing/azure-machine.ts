// A double of the metadata service of a machine at Azure, in this process, written from Microsoft's page:
// https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface AzureMachine extends AsyncDisposable {
  /** What `AZURE_POD_IDENTITY_AUTHORITY_HOST` names. */
  readonly url: string;
  /** Paths with their queries. */
  readonly requests: readonly string[];
}

/** @param clientId the only identity that it has @param tokens where those that it gives are written */
export async function startAzureMachine(clientId: string, tokens: Set<string>): Promise<AzureMachine> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://machine');
    requests.push(`${url.pathname}${url.search}`);
    const isAsked =
      /^\/metadata\/identity\/oauth2\/token\/?$/.test(url.pathname) && request.headers['metadata'] === 'true';
    const isRight = isAsked && url.searchParams.get('client_id') === clientId && url.searchParams.has('resource');
    response.writeHead(isRight ? 200 : 400, { 'content-type': 'application/json' });
    if (!isRight)
      return response.end(JSON.stringify({ error: 'invalid_request', error_description: 'canary-of-imds' }));
    const token = `canary-token-of-the-machine-${randomBytes(12).toString('hex')}`;
    tokens.add(token);
    const expiresOn = String(Math.floor(Date.now() / 1000) + 3600);
    const resource = url.searchParams.get('resource');
    return response.end(
      JSON.stringify({
        access_token: token,
        expires_in: '3600',
        expires_on: expiresOn,
        resource,
        token_type: 'Bearer',
      }),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
