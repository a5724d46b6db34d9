import { StrongroomError } from '@strongroom/contract/core';
import type { ErrorCode } from '@strongroom/contract/errors';

/**
 * How far a connection came: the address's text and what it leads to, a connection, TLS, what the other side answered.
 * The steps of a tried connection have the same names.
 */
export type EgressStep = 'address' | 'reachable' | 'tls' | 'answer';

interface EgressErrorOptions {
  readonly detail: string;
  readonly hint?: string;
  /** Error code of the library below (`ECONNREFUSED`, `CERT_HAS_EXPIRED`): a name without data. Nothing else of its error is kept. */
  readonly reason?: string;
}

/**
 * What the egress guard throws. It holds the host and the port as they were typed, and nothing of what was sent, answered or
 * resolved: undici's and Node's errors carry headers, bodies and certificates, so none is kept as the cause.
 */
export class EgressError extends StrongroomError {
  readonly step: EgressStep;
  readonly reason: string | undefined;

  constructor(code: ErrorCode, step: EgressStep, { detail, hint, reason }: EgressErrorOptions) {
    super(code, { detail, ...(hint === undefined ? {} : { hint }) });
    this.step = step;
    this.reason = reason;
  }
}

/** `egress_denied`. The default hint names the setting. */
export function denied(detail: string, hint?: string): EgressError {
  return new EgressError('egress_denied', 'address', { detail, ...(hint === undefined ? {} : { hint }) });
}

/** The code of somebody else's error, when it is a plain word. */
export function reasonOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  return /^[A-Z][A-Z0-9_]{0,63}$/.test(error.code) ? error.code : undefined;
}

/** A host and its port as they were typed, fit for a message: visible ASCII, the rest escaped, cut at the longest name there can be. */
export function printable(text: string): string {
  const cut = text.length > 261 ? `${text.slice(0, 261)}…` : text;
  return cut.replaceAll(/[^!-~…]/gu, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}
