import { CryptoError } from '@strongroom/crypto';
import type { Egress } from '../egress/index.ts';
import { isObject, type JsonObject } from '../vault/json.ts';
import type { GoogleCloud } from './cloud.ts';
import { malformed, signInFailure } from './failures.ts';

export interface TokenRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** What is done; completes the detail. */
  readonly about: string;
  /** What to check when it is refused. */
  readonly hint: string;
}

const maxAnswerBytes = 64 * 1024;

/** Asks one of Google's addresses for a token, by the egress guard. @throws StrongroomError */
export async function requestToken(egress: Egress, cloud: GoogleCloud, request: TokenRequest): Promise<JsonObject> {
  const { url, headers, body, about, hint } = request;
  const answer = await egress.request(url, {
    method: 'POST',
    headers: { accept: 'application/json', ...headers },
    body,
    vendor: [new URL(url).hostname],
    ...(cloud.ca === undefined ? {} : { ca: cloud.ca }),
    maxBytes: maxAnswerBytes,
  });
  try {
    if (answer.status !== 200) throw signInFailure(answer.status, about, hint);
    const json: unknown = JSON.parse(answer.body.revealText());
    if (isObject(json)) return json;
    throw malformed(about);
  } catch (error) {
    // The errors of the parsers quote what they read.
    if (error instanceof SyntaxError || error instanceof CryptoError) throw malformed(about);
    throw error;
  } finally {
    answer.destroy();
  }
}

/** What is sent as a header: nothing but what a token may have (RFC 6750 section 2.1). */
export function readToken(text: unknown, about: string): string {
  if (typeof text === 'string' && /^[A-Za-z0-9\-._~+/]{1,8192}=*$/.test(text)) return text;
  throw malformed(about);
}
