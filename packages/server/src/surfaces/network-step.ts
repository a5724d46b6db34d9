import { StrongroomError, type TestCause } from '@strongroom/contract';
import type { EgressError } from '@strongroom/backends/egress';
import type { TestStep } from './form-test.ts';

/** Whether an error is the egress guard's, whose library is loaded at its first use alone. */
export function isEgressError(error: object): error is EgressError {
  return error instanceof StrongroomError && 'step' in error && 'reason' in error;
}

/** What the egress guard refused or could not do, in the words of tests. */
export function causeOfEgress({ code, step, reason }: Pick<EgressError, 'code' | 'step' | 'reason'>): TestCause {
  if (code === 'egress_denied') return 'address-refused';
  if (code === 'deadline_exceeded' || reason === 'ETIMEDOUT') return 'deadline';
  if (step === 'tls') return causeOfTls(reason);
  return code === 'backend_malformed' ? 'malformed' : 'unreachable';
}

/** Node's codes of X.509 verification (nodejs.org/api/tls.html, "X509 certificate error codes"). */
export function causeOfTls(reason: string | undefined): TestCause {
  if (reason === 'ERR_TLS_CERT_ALTNAME_INVALID' || reason === 'HOSTNAME_MISMATCH') return 'certificate-mismatch';
  if (reason === 'CERT_HAS_EXPIRED' || reason === 'CERT_NOT_YET_VALID') return 'certificate-expired';
  return reason !== undefined && untrusted.has(reason) ? 'certificate-untrusted' : 'tls-refused';
}

const untrusted: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'CERT_CHAIN_TOO_LONG',
  'INVALID_CA',
  'INVALID_PURPOSE',
]);

const messages: Partial<Readonly<Record<TestCause, string>>> = {
  'address-refused': 'The server may not go to this address; an operator can allow it with STRONGROOM_EGRESS_ALLOW.',
  unreachable: 'Nobody answers there: no such name, the connection was refused, or it was cut.',
  'tls-refused': 'TLS could not be agreed on, or is not offered there.',
  'certificate-mismatch': 'The certificate is for another name than the host.',
  'certificate-untrusted': 'The certificate is not signed by a trusted authority; give its CA certificate.',
  'certificate-expired': 'The certificate is expired, or not valid yet.',
  malformed: 'What answers there does not speak the protocol.',
  deadline: 'It took too long.',
};

/** A step that failed, in our words. @param message where this step has better ones */
export function failedStep(name: string, cause: TestCause, message?: string): TestStep {
  const text = message ?? messages[cause];
  return { name, outcome: 'failed', cause, ...(text === undefined ? {} : { message: text }) };
}
