import type { Socket } from 'node:net';
import type { Egress } from '@strongroom/backends/egress';
import type { TestCause } from '@strongroom/contract';
import type { SecretValue } from '@strongroom/crypto';
import { causeOfEgress, causeOfTls, isEgressError } from '../network-step.ts';
import type { EmailDocument } from './document.ts';

/** A message as the product sends it: plain text to one recipient. */
export interface Message {
  /** `ann@example.org` alone. */
  readonly to: string;
  /** One line. */
  readonly subject: string;
  readonly text: string;
}

/** How far a message came, in this order; `tls` and `sign-in` only where there are such. */
export type MailStep = 'connect' | 'tls' | 'sign-in' | 'send';

/** Why a message was not sent. Nothing of what the server said is in it. */
export class MailFailure extends Error {
  override readonly name = 'MailFailure';
  readonly step: MailStep;
  readonly reason: TestCause;

  constructor(step: MailStep, reason: TestCause) {
    super(`The message was not sent: ${step}: ${reason}`);
    this.step = step;
    this.reason = reason;
  }
}

/** What the library says of a failure: names and numbers alone are read. */
interface LibraryError {
  readonly code?: unknown;
  readonly originalCode?: unknown;
  readonly command?: unknown;
  readonly responseCode?: unknown;
}

const phaseMilliseconds = 15_000;
/** Of all that a mail server says while it takes one message, TLS's own bytes included (a line: 512, RFC 5321 §4.5.3.1.5). */
const maxAnswerBytes = 256 * 1024;

/** The steps that a message goes through with these settings. */
export function mailSteps({ security }: Pick<EmailDocument, 'security'>, signsIn: boolean): readonly MailStep[] {
  return [
    'connect',
    ...(security === 'none' ? [] : ['tls' as const]),
    ...(signsIn ? ['sign-in' as const] : []),
    'send',
  ];
}

/**
 * Sends a message over a connection of the egress guard (RFC 5321, RFC 3207, RFC 8314). With `starttls` nothing but EHLO and
 * STARTTLS is said before TLS stands; a server that doesn't offer it fails.
 *
 * @throws MailFailure
 */
export async function sendMail(
  egress: Egress,
  settings: EmailDocument,
  password: SecretValue | undefined,
  message: Message,
  signal: AbortSignal,
): Promise<void> {
  const { host, port, security, username, caCertificate: ca } = settings;
  const trust = ca === undefined ? {} : { ca };
  const socket = await connect(egress, settings, signal);
  const isAddress = host.includes(':') || /^[\d.]+$/.test(host);
  const { createTransport } = await import('nodemailer');
  const transport = createTransport({
    host,
    port,
    secure: security === 'tls',
    // Required: a server, or somebody in between, that leaves it out of its answer gets nothing.
    requireTLS: security === 'starttls',
    ignoreTLS: security === 'none',
    tls: { rejectUnauthorized: true, minVersion: 'TLSv1.2', ...(isAddress ? {} : { servername: host }), ...trust },
    getSocket: (_options: unknown, done: (error: Error | null, found: object) => void) =>
      done(null, { connection: socket, secured: security === 'tls' }),
    ...(username === undefined || password === undefined
      ? {}
      : { auth: { user: username, pass: password.revealText() } }),
    greetingTimeout: phaseMilliseconds,
    socketTimeout: phaseMilliseconds,
    disableFileAccess: true,
    disableUrlAccess: true,
    logger: false,
  });
  try {
    await transport.sendMail({
      from: { name: settings.senderName ?? '', address: settings.senderAddress },
      to: { name: '', address: message.to },
      subject: message.subject,
      text: message.text,
      headers: { 'Auto-Submitted': 'auto-generated' },
      signal,
    });
  } catch (error) {
    const failure = failureOf(error as LibraryError, settings, signal);
    throw egress.isCutOff(socket) ? new MailFailure(failure.step, 'malformed') : failure;
  } finally {
    transport.close();
    socket.destroy();
  }
}

async function connect(egress: Egress, settings: EmailDocument, signal: AbortSignal): Promise<Socket> {
  const { host, port, security, caCertificate: ca } = settings;
  const tls = security === 'tls' ? { tls: ca === undefined ? {} : { ca } } : {};
  try {
    // STARTTLS begins in plain text, and nothing is sent before TLS; with none no value is sent at all.
    return await egress.connectTcp({ host, port, signal, allowPlaintext: true, maxBytes: maxAnswerBytes, ...tls });
  } catch (error) {
    if (error instanceof Error && isEgressError(error))
      throw new MailFailure(error.step === 'tls' ? 'tls' : 'connect', causeOfEgress(error));
    throw error;
  }
}

function failureOf(error: LibraryError, { security }: EmailDocument, signal: AbortSignal): MailFailure {
  const { code, originalCode, command, responseCode } = error;
  const said = typeof command === 'string' ? command : '';
  if (signal.aborted || code === 'EABORT' || code === 'ETIMEDOUT') return new MailFailure(stepOf(said), 'deadline');
  if (code === 'EAUTH' || said.startsWith('AUTH')) return new MailFailure('sign-in', 'authentication-refused');
  if (code === 'ETLS' || said === 'STARTTLS') return new MailFailure('tls', causeOfTls(wordOf(originalCode)));
  const tlsReason = wordOf(originalCode);
  if (security === 'starttls' && tlsReason !== undefined && /CERT|TLS|SSL|SIGNATURE|ISSUER|CA$/.test(tlsReason))
    return new MailFailure('tls', causeOfTls(tlsReason));
  if (said.startsWith('MAIL FROM')) return new MailFailure('send', 'sender-refused');
  if (said.startsWith('RCPT TO')) return new MailFailure('send', 'recipient-refused');
  if (said === 'DATA' || code === 'EMESSAGE')
    return new MailFailure('send', responseCode === 452 ? 'throttled' : 'message-refused');
  if (code === 'EPROTOCOL') return new MailFailure('connect', 'malformed');
  return new MailFailure(stepOf(said), 'unreachable');
}

function stepOf(command: string): MailStep {
  if (command.startsWith('AUTH')) return 'sign-in';
  if (command === 'STARTTLS') return 'tls';
  return /^(?:MAIL|RCPT|DATA|API)/.test(command) ? 'send' : 'connect';
}

function wordOf(code: unknown): string | undefined {
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]{0,63}$/.test(code) ? code : undefined;
}
