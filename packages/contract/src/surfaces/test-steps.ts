import { Type } from 'typebox';
import { Closed } from '../route.ts';

/**
 * Why a step of a test failed: one vocabulary for all surfaces. The remote's own text is never passed on.
 *
 * - `address-refused`: the egress guard does not let the server go there
 * - `unreachable`: no such name, nobody listens, or the connection was cut
 * - `tls-refused`: TLS could not be agreed on, or is not offered
 * - `certificate-mismatch`, `certificate-untrusted`, `certificate-expired`: what is wrong with the certificate
 * - `authentication-refused`: the credential is not right, or its method is not offered
 * - `permission-refused`: the credential is right and may not do this
 * - `target-missing`: what is asked for is not there (a bucket, a base DN, a database)
 * - `filter-refused`: the remote does not understand the filter
 * - `sender-refused`, `recipient-refused`, `message-refused`: by a mail server
 * - `throttled`: the remote asks for fewer requests
 * - `malformed`: what answers does not speak the protocol
 * - `truncated`: the answer was cut off by a limit of the remote
 * - `unresolved`: a reference did not resolve
 * - `deadline`: it took too long
 */
export const testCauses = [
  'address-refused',
  'unreachable',
  'tls-refused',
  'certificate-mismatch',
  'certificate-untrusted',
  'certificate-expired',
  'authentication-refused',
  'permission-refused',
  'target-missing',
  'filter-refused',
  'sender-refused',
  'recipient-refused',
  'message-refused',
  'throttled',
  'malformed',
  'truncated',
  'unresolved',
  'deadline',
] as const;
export type TestCause = (typeof testCauses)[number];

/** One step of a test of a form. */
export const TestStep = Closed({
  name: Type.String(),
  outcome: Type.Enum(['ok', 'failed', 'skipped']),
  cause: Type.Optional(Type.Enum([...testCauses])),
  message: Type.Optional(Type.String()),
});

/** What came of the test of a form; nothing of it is kept. */
export const SurfaceTest = Closed({
  ok: Type.Boolean({ description: 'No step failed' }),
  steps: Type.Array(TestStep),
});
