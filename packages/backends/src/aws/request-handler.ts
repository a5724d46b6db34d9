import { Readable } from 'node:stream';
import type { SecretsManagerClientConfig } from '@aws-sdk/client-secrets-manager';
import type { AddressRules, Egress } from '../egress/index.ts';

type SdkHandler = Extract<NonNullable<SecretsManagerClientConfig['requestHandler']>, { readonly handle: unknown }>;
type SdkRequest = Parameters<SdkHandler['handle']>[0];
type SdkOptions = Parameters<SdkHandler['handle']>[1];

/** Twenty secrets of 64 KiB, each byte of which may be escaped, with room for what is around them. */
const maxSecretsBytes = 12 * 1024 * 1024;
/** What the guard sets itself. */
const ofTheGuard: ReadonlySet<string> = new Set(['host', 'content-length', 'accept-encoding', 'connection', 'expect']);

export interface HandlerOptions {
  /** The service answers with streams (S3), which the SDK reads itself. */
  readonly streamsAnswers?: boolean;
  /** Of one answer; by default what Secrets Manager needs. */
  readonly maxAnswerBytes?: number;
}

/** Sends the SDK's requests through the egress guard: its rules for addresses, its proxy, its caps, and no redirects. */
export function createRequestHandler(
  egress: Egress,
  rules: AddressRules,
  { streamsAnswers = false, maxAnswerBytes = maxSecretsBytes }: HandlerOptions = {},
): SdkHandler {
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
      const bytes = answer.body.reveal();
      answer.destroy();
      const body = streamsAnswers ? Readable.from([bytes], { objectMode: false }) : bytes;
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
  const asked = queryOf(query ?? {});
  return `${protocol}//${hostname}${port === undefined ? '' : `:${port}`}${path}${asked === '' ? '' : `?${asked}`}`;
}

/** As it is signed (Signature Version 4, "Create a canonical request"): RFC 3986's unreserved characters stay, the rest is escaped. */
function queryOf(query: NonNullable<SdkRequest['query']>): string {
  const escape = (text: string): string =>
    encodeURIComponent(text).replaceAll(
      /[!'()*]/g,
      (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
    );
  return Object.keys(query)
    .toSorted()
    .flatMap((name) => [query[name] ?? ''].flat().map((value) => `${escape(name)}=${escape(value)}`))
    .join('&');
}
