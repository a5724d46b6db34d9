import { platformSurfaceActions, smtpPorts } from '@strongroom/contract';
import type { ScopeRef } from '../../access/types.ts';
import { credentialFields, readCredentials, textFields } from '../credential-fields.ts';
import { type Destination, FieldProblems, type Normalised, type SurfaceDefinition } from '../definition.ts';
import { given } from '../launch-inputs.ts';
import { checkPlainText } from '../plain-text.ts';
import type { EmailDocument, EmailInput } from './document.ts';

const { view, manage } = platformSurfaceActions.email;

/** The surface `email`: the one mail server of the platform. */
export const emailSurface = {
  type: 'email',
  title: 'mail server',
  scope: 'admin',
  actions: { create: manage, view, update: manage, delete: manage },
  normalise,
  parse: (json) => JSON.parse(json) as EmailDocument,
  fields: ({ username, password }) => [...credentialFields({ password }), ...textFields({ username })],
  authorityPart: ({ host, port, security, username, caCertificate, password }) => {
    return { host, port, security, username, caCertificate, password };
  },
  credentials: { names: ['password'], destination },
} satisfies SurfaceDefinition<EmailInput, EmailDocument>;

function destination({ host, port, security }: EmailDocument): Destination {
  return { scheme: security === 'tls' ? 'smtps' : 'smtp', host, port };
}

function normalise(input: EmailInput, scope: ScopeRef): Normalised<EmailDocument> {
  const problems = new FieldProblems();
  const { description, security, username, senderAddress, senderName, caCertificate, password } = input;
  const host = input.host.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  const credentials = new Map(readCredentials({ password }, scope, problems));
  const change = credentials.get('password');
  const isGiven = change?.kind === 'set' || change?.kind === 'refer' || password?.keep === true;
  if (security === 'none') {
    if (isGiven) problems.add('/password', 'Without TLS no password is sent; choose starttls or tls, or clear it.');
    if (username !== undefined) problems.add('/username', 'Without TLS nobody signs in; choose starttls or tls.');
    if (caCertificate !== undefined) problems.add('/caCertificate', 'Without TLS there is no certificate.');
    // A password that was kept so far would be of no use, and in the way of a later change.
    credentials.set('password', { kind: 'clear' });
  } else if (isGiven && username === undefined) problems.add('/username', 'A password is for a user name.');
  if (username !== undefined) checkPlainText(username, '/username', problems);
  if (problems.errors.length > 0 && change?.kind === 'set') change.value.destroy();
  problems.refuse('mail server');
  const optional = given({ description, username, senderName, caCertificate: caCertificate?.trim() });
  const document = { ...optional, host, port: input.port ?? smtpPorts[security], security, senderAddress };
  return { document, warnings: [], origins: new Map(), credentials };
}
