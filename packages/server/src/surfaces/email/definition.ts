import { isPlaceholderIn, mailAddressPattern, platformSurfaceActions, smtpPorts } from '@strongroom/contract';
import type { ScopeRef } from '../../access/types.ts';
import { credentialFields, isGiven, readCredentials, textFields, type TextRules } from '../credential-fields.ts';
import {
  type Destination,
  FieldProblems,
  type Normalised,
  type Settle,
  type SurfaceDefinition,
} from '../definition.ts';
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
  fields: ({ username, senderAddress, senderName, password }) => [
    ...credentialFields({ password }),
    ...textFields({ username, senderAddress, senderName }, rules),
  ],
  authorityPart: ({ host, port, security, username, caCertificate, password }) => {
    return { host, port, security, username, caCertificate, password };
  },
  credentials: { names: ['password'], destination },
} satisfies SurfaceDefinition<EmailInput, EmailDocument>;

/** A line break in one would be the next line of what is said to the server. */
const settleLine: Settle = (text) => {
  // oxlint-disable-next-line no-control-regex -- what a line may not have is what is looked for
  return /[\u0000-\u001f\u007f]/.test(text) ? { problem: 'It holds a control character.' } : { text };
};
const address = new RegExp(mailAddressPattern, 'u');
const settleAddress: Settle = (text) => (address.test(text) ? { text } : { problem: 'It is no mail address.' });
const rules: TextRules = {
  username: { settle: settleLine },
  senderAddress: { settle: settleAddress },
  senderName: { settle: settleLine },
};

function destination({ host, port, security }: EmailDocument): Destination {
  return { scheme: security === 'tls' ? 'smtps' : 'smtp', host, port };
}

function normalise(input: EmailInput, scope: ScopeRef): Normalised<EmailDocument> {
  const problems = new FieldProblems();
  const { description, security, username, senderAddress, senderName, caCertificate, password } = input;
  const host = input.host.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  const credentials = new Map(readCredentials({ password }, scope, problems));
  const change = credentials.get('password');
  const hasPassword = isGiven(change) || password?.keep === true;
  if (security === 'none') {
    if (hasPassword) problems.add('/password', 'Without TLS no password is sent; choose starttls or tls, or clear it.');
    if (username !== undefined) problems.add('/username', 'Without TLS nobody signs in; choose starttls or tls.');
    if (caCertificate !== undefined) problems.add('/caCertificate', 'Without TLS there is no certificate.');
    // A password that was kept so far would be of no use, and in the way of a later change.
    credentials.set('password', { kind: 'clear' });
    for (const [name, text] of Object.entries({ senderAddress, senderName: senderName ?? '' }))
      if (isPlaceholderIn(text))
        problems.add(`/${name}`, 'Without TLS no secret is sent; choose starttls or tls, or write the text itself.');
  } else if (hasPassword && username === undefined) problems.add('/username', 'A password is for a user name.');
  for (const [name, text] of Object.entries(given({ username, senderAddress, senderName })))
    checkPlainText(text, `/${name}`, problems);
  if (!isPlaceholderIn(senderAddress) && 'problem' in settleAddress(senderAddress))
    problems.add('/senderAddress', 'It is no mail address.');
  if (problems.errors.length > 0 && change?.kind === 'set') change.value.destroy();
  problems.refuse('mail server');
  const optional = given({ description, username, senderName, caCertificate: caCertificate?.trim() });
  const document = { ...optional, host, port: input.port ?? smtpPorts[security], security, senderAddress };
  return { document, warnings: [], origins: new Map(), credentials };
}
