import { createHttpHeaders, type HttpClient, type PipelineRequest } from '@azure/core-rest-pipeline';
import { StrongroomError } from '@strongroom/contract/core';
import { CryptoError } from '@strongroom/crypto';
import type { AddressRules, Egress, EgressResponse } from '../egress/index.ts';
import { retryAfterSeconds } from '../retry-after.ts';
import { own } from '../vault/json.ts';
import { record } from './exchange.ts';

const maxAnswerBytes = 1024 * 1024;
/** What the guard sets itself. */
const ofTheGuard: ReadonlySet<string> = new Set(['host', 'content-length', 'accept-encoding', 'connection', 'expect']);

/**
 * Sends the SDK's requests through the egress guard, to one origin and nowhere else: links to next pages come from the
 * answers. The retries, redirects and proxies of the SDK have no part in it.
 */
export function createHttpClient(egress: Egress, origin: string, rules: AddressRules): HttpClient {
  return {
    async sendRequest(request) {
      try {
        if (new URL(request.url).origin !== origin)
          throw new StrongroomError('backend_malformed', { detail: 'Azure leads to another host than the one asked.' });
        const answer = await egress.request(request.url, {
          ...rules,
          method: request.method,
          headers: Object.fromEntries([...request.headers].filter(([name]) => !ofTheGuard.has(name.toLowerCase()))),
          ...bodyOf(request),
          ...(request.abortSignal instanceof AbortSignal ? { signal: request.abortSignal } : {}),
          maxBytes: maxAnswerBytes,
        });
        const bodyAsText = textOf(answer);
        record({
          status: answer.status,
          retryAfterSeconds: retryAfterSeconds((name) => answer.header(name)),
          codes: answer.status >= 400 ? codesOf(bodyAsText) : [],
          // The SDK keeps it to itself.
          nextLink: own(parsed(bodyAsText), 'nextLink'),
        });
        const headers = createHttpHeaders(Object.fromEntries(answer.headers));
        return { request, status: answer.status, headers, bodyAsText };
      } catch (error) {
        if (error instanceof StrongroomError) record({ failure: error });
        throw error;
      }
    },
  };
}

function bodyOf({ body }: PipelineRequest): { readonly body?: string | Uint8Array } {
  if (body === undefined || body === null) return {};
  if (typeof body === 'string' || body instanceof Uint8Array) return { body };
  throw new TypeError('The requests used here have no streams');
}

function textOf(answer: EgressResponse): string {
  try {
    return answer.body.revealText();
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    throw new StrongroomError('backend_malformed', { detail: 'Azure answered with something that is no text.' });
  } finally {
    answer.destroy();
  }
}

/** Codes of an error, the inner ones too (https://learn.microsoft.com/azure/key-vault/general/rest-error-codes). */
function codesOf(text: string): string[] {
  const codes: string[] = [];
  let error = own(parsed(text), 'error');
  for (let depth = 0; depth < 4 && error !== undefined; depth += 1) {
    const code = own(error, 'code');
    if (typeof code === 'string') codes.push(code);
    error = own(error, 'innererror');
  }
  return codes;
}

/** `undefined` for what is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
