import { Type } from 'typebox';
import { FreeText, Time } from '../names.ts';
import { Closed } from '../route.ts';
import { CaCertificate } from './email.ts';
import { CredentialInput, CredentialState, platformFields } from './fields.ts';
import { formKeyword } from './unresolved-fields.ts';

/** The directory whose users sign in by bind and are synced; one for the platform. */

/** Names of attributes (RFC 4512 §1.4, `keystring`). */
const Attribute = Type.String({ pattern: '^[A-Za-z][A-Za-z0-9-]{0,62}$' });
const Dn = Type.String({ maxLength: 1024, pattern: '^[^\\u0000-\\u001f\\u007f]*$' });
const Filter = Type.String({ minLength: 3, maxLength: 2048, description: 'RFC 4515' });

/** Limits of one sync. */
export const ldapLimits = { minSyncSeconds: 5, maxSyncSeconds: 604_800, users: 50_000, groups: 5_000 } as const;

const shared = {
  description: Type.Optional(FreeText),
  url: Type.String({
    minLength: 8,
    maxLength: 512,
    description: 'ldap:// or ldaps://, host and port alone; ldap without StartTLS on loopback only',
  }),
  caCertificate: Type.Optional(CaCertificate),
  bindDn: Type.Optional(Type.String({ minLength: 1, maxLength: 1024, pattern: '^[^\\u0000-\\u001f\\u007f]+$' })),
  baseDn: Dn,
};
const attributes = {
  id: Attribute,
  name: Attribute,
  displayName: Attribute,
  mail: Attribute,
  groupName: Attribute,
  member: Attribute,
};
const own = {
  startTls: Type.Boolean({ description: 'TLS after the connection, before anything is sent; always so for ldaps' }),
  filter: Filter,
  syncPeriodSeconds: Type.Integer({ minimum: ldapLimits.minSyncSeconds, maximum: ldapLimits.maxSyncSeconds }),
  groupBaseDn: Dn,
  groupFilter: Filter,
};

const input = {
  ...shared,
  bindCredential: Type.Optional(CredentialInput),
  startTls: Type.Optional(own.startTls),
  filter: Type.Optional(own.filter),
  syncPeriodSeconds: Type.Optional(own.syncPeriodSeconds),
  groupBaseDn: Type.Optional(own.groupBaseDn),
  groupFilter: Type.Optional(own.groupFilter),
  attributes: Type.Optional(
    Closed({
      id: Type.Optional(attributes.id),
      name: Type.Optional(attributes.name),
      displayName: Type.Optional(attributes.displayName),
      mail: Type.Optional(attributes.mail),
      groupName: Type.Optional(attributes.groupName),
      member: Type.Optional(attributes.member),
    }),
  ),
};

/** A whole new document but for the bind credential, which stays unless set or cleared. */
export const LdapPut = Closed(input, { [formKeyword]: 'ldap' });
export const LdapTest = Closed(
  {
    ...input,
    what: Type.Enum(['connection', 'authentication'], {
      description: 'connection: the URL alone; authentication: also the bind, the base DN and the filters',
    }),
    useSaved: Type.Optional(Type.Boolean({ description: 'With the saved bind credential, where the form has none' })),
  },
  { [formKeyword]: 'ldap' },
);

/** What the last sync came to. */
export const LdapSyncState = Closed({
  startedAt: Time,
  endedAt: Type.Optional(Time),
  outcome: Type.Enum(['running', 'ok', 'failed']),
  cause: Type.Optional(Type.String()),
  message: Type.Optional(Type.String()),
  lastSuccessAt: Type.Optional(Time),
  users: Type.Integer({ description: 'Of the directory, at the last sync that succeeded' }),
  groups: Type.Integer(),
  changed: Type.Integer({ description: 'Principals and memberships that it changed' }),
  conflicts: Type.Array(
    Closed({
      kind: Type.Enum(['user', 'group']),
      name: Type.String(),
      reason: Type.Enum(['name-taken', 'name-invalid', 'duplicate', 'last-admin']),
    }),
    { description: 'Entries that were left alone; the first hundred' },
  ),
});

export const Ldap = Closed({
  ...platformFields,
  ...shared,
  ...own,
  bindCredential: CredentialState,
  attributes: Closed(attributes),
  sync: Type.Optional(LdapSyncState),
});
