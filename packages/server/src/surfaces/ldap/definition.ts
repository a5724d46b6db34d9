import { platformSurfaceActions } from '@strongroom/contract';
import type { ScopeRef } from '../../access/types.ts';
import { credentialFields, readCredentials, textFields } from '../credential-fields.ts';
import { type Destination, FieldProblems, type Normalised, type SurfaceDefinition } from '../definition.ts';
import { given } from '../launch-inputs.ts';
import { checkPlainText } from '../plain-text.ts';
import type { LdapDocument, LdapInput } from './document.ts';
import { isFilter } from './filter.ts';

const { view, manage } = platformSurfaceActions.ldap;

/** The surface `ldap`: the one directory of the platform. */
export const ldapSurface = {
  type: 'ldap',
  title: 'directory',
  scope: 'admin',
  actions: { create: manage, view, update: manage, delete: manage },
  normalise,
  parse: (json) => JSON.parse(json) as LdapDocument,
  fields: ({ bindDn, bindCredential }) => [...credentialFields({ bindCredential }), ...textFields({ bindDn })],
  authorityPart: ({ url, startTls, caCertificate, bindDn, bindCredential }) => {
    return { url, startTls, caCertificate, bindDn, bindCredential };
  },
  credentials: { names: ['bindCredential'], destination: (document: LdapDocument) => destination(document) },
} satisfies SurfaceDefinition<LdapInput, LdapDocument>;

/** Where a directory is. */
export function destination({ url }: Pick<LdapDocument, 'url'>): Destination {
  const [, scheme = '', host = '', port = ''] = shape.exec(url) ?? [];
  return { scheme, host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) };
}

const shape = /^(ldaps?):\/\/([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([1-9]\d{0,4}))?\/?$/;
/** RFC 4514, as far as a mistake is to be told from a name: `attribute=value` and commas. */
const dnShape = /^(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)*)\s*=/;

function normalise(input: LdapInput, scope: ScopeRef): Normalised<LdapDocument> {
  const problems = new FieldProblems();
  const { description, caCertificate, bindDn, baseDn, bindCredential } = input;
  const url = readUrl(input.url, problems);
  const isEncrypted = url.startsWith('ldaps:');
  if (isEncrypted && input.startTls === true) problems.add('/startTls', 'ldaps has TLS from the first byte.');
  const startTls = !isEncrypted && input.startTls === true;
  if (!isEncrypted && !startTls && caCertificate !== undefined)
    problems.add('/caCertificate', 'Without TLS there is no certificate.');
  if (!isEncrypted && !startTls && url !== '' && !isLoopback(destination({ url }).host))
    problems.add('/startTls', 'Without TLS only a directory on this machine is spoken to; use ldaps:// or StartTLS.');
  const groupBaseDn = input.groupBaseDn ?? baseDn;
  for (const [pointer, dn] of Object.entries({ '/bindDn': bindDn, '/baseDn': baseDn, '/groupBaseDn': groupBaseDn }))
    if (dn !== undefined && dn !== '' && !dnShape.test(dn))
      problems.add(pointer, 'It is a distinguished name: dc=example,dc=org');
  const { filter = '(objectClass=inetOrgPerson)', groupFilter = '(objectClass=groupOfNames)' } = input;
  for (const [pointer, text] of Object.entries({ '/filter': filter, '/groupFilter': groupFilter }))
    if (!isFilter(text)) problems.add(pointer, 'It is no search filter (RFC 4515): (objectClass=person)');
  const credentials = readCredentials(given({ bindCredential }), scope, problems);
  const change = credentials.get('bindCredential');
  if ((change?.kind === 'set' || change?.kind === 'refer') && bindDn === undefined)
    problems.add('/bindDn', 'A credential is for a name.');
  if (bindDn !== undefined) checkPlainText(bindDn, '/bindDn', problems);
  if (problems.errors.length > 0 && change?.kind === 'set') change.value.destroy();
  problems.refuse('directory');
  const document = {
    ...given({ description, caCertificate: caCertificate?.trim(), bindDn }),
    url,
    startTls,
    baseDn,
    filter,
    syncPeriodSeconds: input.syncPeriodSeconds ?? 300,
    groupBaseDn,
    groupFilter,
    attributes: {
      id: 'entryUUID',
      name: 'uid',
      displayName: 'cn',
      mail: 'mail',
      groupName: 'cn',
      member: 'member',
      ...input.attributes,
    },
  };
  return { document, warnings: [], origins: new Map(), credentials };
}

/** Scheme, host and port, in one spelling; empty with the problem noted. */
function readUrl(text: string, problems: FieldProblems): string {
  const [, scheme, host, port] = shape.exec(text.toLowerCase()) ?? [];
  if (scheme === undefined || host === undefined || Number(port ?? 1) > 65_535) {
    problems.add('/url', 'It is ldap:// or ldaps://, a host and a port, and nothing else.');
    return '';
  }
  return `${scheme}://${host}:${port ?? (scheme === 'ldaps' ? '636' : '389')}`;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
