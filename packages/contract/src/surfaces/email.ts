import { Type } from 'typebox';
import { FreeText } from '../names.ts';
import { Closed } from '../route.ts';
import { CredentialInput, CredentialState, platformFields } from './fields.ts';
import { formKeyword } from './unresolved-fields.ts';

/** The mail server that the product's own mail goes through; one for the platform. */

/** Ports by security, where none is given (RFC 8314 §3.3, RFC 5321 §4.5.4.2). */
export const smtpPorts = { starttls: 587, tls: 465, none: 25 } as const;

/** `ann@example.org`: ASCII, one at sign, at most 254 characters (RFC 5321 §4.5.3.1). */
export const mailAddressPattern =
  "^(?=.{3,254}$)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,64}(?:\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,64}){0,10}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$";
export const MailAddress = Type.String({ maxLength: 254, pattern: mailAddressPattern });
/** An address, or a text with placeholders that make one. */
const SenderAddress = Type.String({
  maxLength: 1024,
  pattern: `(?:${mailAddressPattern})|(?:^[^\\u0000-\\u001f\\u007f]*\\$\\{secrets\\.[^\\u0000-\\u001f\\u007f]*$)`,
});

/** A host name or an address, without a scheme and a port. */
const Host = Type.String({ minLength: 1, maxLength: 253, pattern: '^[A-Za-z0-9._:\\[\\]-]+$' });

/** PEM certificates to trust in place of the well-known ones. */
export const CaCertificate = Type.String({
  maxLength: 65_536,
  pattern: '^\\s*-----BEGIN CERTIFICATE-----[\\sA-Za-z0-9+/=-]*-----END CERTIFICATE-----\\s*$',
  description: 'PEM; in place of the well-known authorities',
});

const shared = {
  description: Type.Optional(FreeText),
  host: Host,
  security: Type.Enum(['starttls', 'tls', 'none'], {
    description:
      'starttls: TLS is required after the greeting; tls: from the first byte; none: plain, without a password',
  }),
  username: Type.Optional(Type.String({ minLength: 1, maxLength: 320, pattern: '^[^\\u0000-\\u001f\\u007f]+$' })),
  senderAddress: SenderAddress,
  senderName: Type.Optional(Type.String({ maxLength: 200, pattern: '^[^\\u0000-\\u001f\\u007f]*$' })),
  caCertificate: Type.Optional(CaCertificate),
};
const port = Type.Integer({ minimum: 1, maximum: 65_535, description: '587, 465 or 25 by security, where left out' });

const input = { ...shared, port: Type.Optional(port), password: Type.Optional(CredentialInput) };

/** A whole new document but for the password, which stays unless set or cleared. */
export const EmailPut = Closed(input, { [formKeyword]: 'email' });
/** A form to send a real message with; `useSaved`: with the saved password, where none is in the form. */
export const EmailTest = Closed(
  {
    ...input,
    recipient: MailAddress,
    useSaved: Type.Optional(Type.Boolean({ description: 'With the saved password, where the form has none' })),
  },
  { [formKeyword]: 'email' },
);
export const Email = Closed({ ...platformFields, ...shared, port, password: CredentialState });
