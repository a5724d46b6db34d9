import type { SecretsManagerClientConfig } from '@aws-sdk/client-secrets-manager';
import type { AddressRules, Egress } from '../egress/index.ts';

type SdkHandler = Extract<NonNullable<SecretsManagerClientConfig['requestHandler']>, { readonly handle: unknown }>;
type SdkRequest = Parameters<SdkHandler['handle']>[0];
type SdkOptions = Parameters<SdkHandler['handle']>[1];

/** Twenty secrets of 64 KiB, each byte of which may be escaped, with room for what is around them. */
const maxAnswerBytes = 12 * 1024 * 1024;
/** What the guard sets itself. */
const ofTheGuard: ReadonlySet<string> = new Set(['host', 'content-length', 'accept-encoding', 'connection', 'expect']);

/**
 * Sends the SDK's requests through the egress guard: its rules for addresses, its proxy, its caps, and no redirects. The
 * services that are used here speak over POST to `/`, without a query.
 */
export function createRequestHandler(egress: Egress, rules: AddressRules): SdkHandler {
  return {
    metadata: { handlerProtocol: 'http/1.1' },
    async handle(request: SdkRequest, { abortSignal }: SdkOptions = {}) {
      const answer = await egress.request(urlOf(request), {
        ...rules,
        method: request.method,
        headers: Object.fromEntries(
          Object.entries(request.headers as Record<string, string>).filter(
            ([name]) => !ofTheGuard.has(name.toLowerCase()),
          ),
        ),
        ...(request.body === undefined ? {} : { body: plain(request.body as string | Uint8Array) }),
        ...(abortSignal instanceof AbortSignal ? { signal: abortSignal } : {}),
        maxBytes: maxAnswerBytes,
      });
      const body = answer.body.reveal();
      answer.body.destroy();
      return { response: { statusCode: answer.status, headers: Object.fromEntries(answer.headers), body } };
    },
    updateHttpClientConfig: () => undefined,
    httpHandlerConfigs: () => ({}),
  } as SdkHandler;
}

/** The SDK's own kind of bytes complains in the log when something asks it whether it is text. */
function plain(body: string | Uint8Array): string | Uint8Array {
  return typeof body === 'string' ? body : new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
}

function urlOf({ protocol, hostname, port, path, query }: SdkRequest): string {
  if (Object.keys(query ?? {}).length > 0) throw new TypeError('The services used here take no query');
  return `${protocol}//${hostname}${port === undefined ? '' : `:${port}`}${path}`;
}
