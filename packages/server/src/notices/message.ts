import type { ScopeKind } from '@strongroom/contract';
import type { Message } from '../surfaces/email/send.ts';
import type { WebhookMessage } from './webhook.ts';

/** What a notice is about. */
export interface Noticed {
  readonly kind: 'expiry' | 'rotation';
  readonly key: string;
  /** Milliseconds since 1970. */
  readonly dueAt: number;
}

export interface Place {
  readonly kind: ScopeKind;
  readonly name: string;
}

/** `domain finance`, `the global scope`. */
function placeText({ kind, name }: Place): string {
  return kind === 'domain' ? `domain ${name}` : `the ${kind} scope`;
}

/** One mail for all that is due at once: keys, dates and what to do; never a value. */
export function mailOf(to: string, place: Place, noticed: readonly Noticed[], now: number): Message {
  const where = placeText(place);
  const lines = noticed.map((each) => `- ${lineOf(each, now)}`);
  const [first] = noticed;
  const subject =
    first !== undefined && noticed.length === 1
      ? `${lineOf(first, now)} (${where})`
      : `${noticed.length} secrets of ${where} need a new value`;
  const flags = place.kind === 'domain' ? `--domain ${place.name}` : `--${place.kind}`;
  const text = [
    `Secrets of ${where}:`,
    '',
    ...lines,
    '',
    `What a new value would hit: strongroom secret impact KEY ${flags} --change rotate`,
    `To give a new value: strongroom secret rotate KEY ${flags}`,
    `What still runs with the old one then: strongroom secret drift ${flags}`,
    '',
  ].join('\n');
  return { to, subject, text };
}

export function testMail(to: string, place: Place): Message {
  const where = placeText(place);
  return {
    to,
    subject: `Notices of ${where}: a test`,
    text: `Notices of expiries and due rotations in ${where} reach you.\n`,
  };
}

export function webhookOf(id: string, place: Place, { kind, key, dueAt }: Noticed, at: number): WebhookMessage {
  return {
    id,
    type: kind === 'expiry' ? 'secret.expiring' : 'secret.rotation_due',
    at,
    data: { ...scopeData(place), key, dueAt: new Date(dueAt).toISOString() },
  };
}

export function testWebhook(id: string, place: Place, at: number): WebhookMessage {
  return { id, type: 'notices.test', at, data: scopeData(place) };
}

function scopeData({ kind, name }: Place): Record<string, string> {
  return kind === 'domain' ? { scope: kind, domain: name } : { scope: kind };
}

function lineOf({ kind, key, dueAt }: Noticed, now: number): string {
  const day = new Date(dueAt).toISOString().slice(0, 10);
  // What another program left may be named by anything.
  // oxlint-disable-next-line no-control-regex -- what a line may not have is what is looked for
  const name = key.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '?');
  if (kind === 'rotation') return `${name} is due for rotation since ${day}`;
  return `${name} ${dueAt <= now ? 'expired' : 'expires'} on ${day}`;
}
