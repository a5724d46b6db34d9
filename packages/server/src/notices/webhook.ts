import { createHmac } from 'node:crypto';
import type { Egress } from '@strongroom/backends/egress';
import { StrongroomError } from '@strongroom/contract';
import type { SecretValue } from '@strongroom/crypto';

/** What a webhook says. Keys and names of scopes; never a value. */
export interface WebhookMessage {
  /** The same for every attempt, so that who gets it twice can tell. */
  readonly id: string;
  readonly type: 'secret.expiring' | 'secret.rotation_due' | 'notices.test';
  /** Milliseconds since 1970: when it came about. */
  readonly at: number;
  readonly data: Readonly<Record<string, string>>;
}

/** Bytes that a key for HMAC-SHA-256 has at least (Standard Webhooks, "Signature scheme": 24 to 64). */
const minKeyBytes = 24;
const prefix = 'whsec_';
const deadlineMilliseconds = 10_000;
/** Of the answer, of which nothing but the status is read. */
const maxAnswerBytes = 64 * 1024;

/**
 * The key that a signing secret stands for: what follows `whsec_` in base64, else the bytes of the value as they are.
 * @throws StrongroomError `state_conflict`, without a word of the value
 */
export function signingKey(value: SecretValue): Uint8Array {
  const bytes = Buffer.from(value.reveal());
  const key = bytes.subarray(0, prefix.length).equals(Buffer.from(prefix))
    ? Buffer.from(bytes.subarray(prefix.length).toString('latin1'), 'base64')
    : Buffer.from(bytes);
  bytes.fill(0);
  if (key.byteLength >= minKeyBytes) return key;
  key.fill(0);
  throw new StrongroomError('state_conflict', {
    detail: `The signing secret has fewer than ${minKeyBytes} bytes, or is no base64 after ${prefix}.`,
  });
}

/**
 * What a name leads to is known when it is called, which then refuses plain http elsewhere: said here already.
 * @throws StrongroomError `validation_failed`
 */
export function requireHttps({ scheme, host }: { readonly scheme: string; readonly host: string }): void {
  if (scheme === 'http' && !isThisMachine(host))
    throw new StrongroomError('validation_failed', {
      errors: [{ pointer: '/webhook/url', message: 'Beyond this machine it is https.' }],
    });
}

function isThisMachine(host: string): boolean {
  return host === 'localhost' || /^127(?:\.\d{1,3}){3}$/.test(host) || /^\[?::1\]?$/.test(host);
}

/** `webhook-signature` (Standard Webhooks, "Signature scheme"). @param timestamp seconds since 1970 */
export function signatureOf(key: Uint8Array, id: string, timestamp: number, body: string): string {
  return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
}

/** One attempt, by the egress guard; a redirect is not followed. @returns the status @throws StrongroomError of the guard */
export async function postWebhook(
  egress: Egress,
  url: string,
  key: Uint8Array,
  message: WebhookMessage,
  signal: AbortSignal,
): Promise<number> {
  const { id, type, at, data } = message;
  const timestamp = Math.floor(Date.now() / 1000);
  const body = JSON.stringify({ type, timestamp: new Date(at).toISOString(), data });
  const answer = await egress.request(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'user-agent': 'strongroom',
      'webhook-id': id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': signatureOf(key, id, timestamp, body),
    },
    body,
    signal,
    deadlineMilliseconds,
    maxBytes: maxAnswerBytes,
  });
  answer.body.destroy();
  return answer.status;
}

/** @throws StrongroomError `backend_unavailable` for every status but 2xx */
export function requireTaken(status: number): void {
  if (status < 200 || status >= 300)
    throw new StrongroomError('backend_unavailable', { detail: `The webhook answered with status ${status}.` });
}
