import { isPlaceholderIn, parseText, platformSurfaceActions } from '@strongroom/contract';
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
import type { LdapDocument, LdapInput } from './document.ts';
import { escapeFilterValue, isFilter } from './filter.ts';

const { view, manage } = platformSurfaceActions.ldap;

/** The surface `ldap`: the one directory of the platform. */
export const ldapSurface = {
  type: 'ldap',
  title: 'directory',
  scope: 'admin',
  actions: { create: manage, view, update: manage, delete: manage },
  normalise,
  parse: (json) => JSON.parse(json) as LdapDocument,
  fields: ({ bindDn, baseDn, filter, groupBaseDn, groupFilter, bindCredential }) => [
    ...credentialFields({ bindCredential }),
    ...textFields({ bindDn, baseDn, filter, groupBaseDn, groupFilter }, rules),
  ],
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

const noDn = 'It is a distinguished name: dc=example,dc=org';
const noFilter = 'It is no search filter (RFC 4515): (objectClass=person)';
const settleDn: Settle = (dn) => {
  // oxlint-disable-next-line no-control-regex -- what a name may not have is what is looked for
  const isName = (dn === '' || dnShape.test(dn)) && !/[\u0000-\u001f\u007f]/.test(dn);
  return isName ? { text: dn } : { problem: noDn };
};
/** A value is one part of a filter, whatever is in it; a filter that is a secret as a whole is taken as it is. */
const filterRule = {
  escape: escapeFilterValue,
  settle: (text: string) => (isFilter(text) ? { text } : { problem: noFilter }),
} satisfies TextRules[string];
const rules: TextRules = {
  bindDn: { settle: settleDn },
  baseDn: { settle: settleDn },
  groupBaseDn: { settle: settleDn },
  filter: filterRule,
  groupFilter: filterRule,
};

/** Whether a filter is one whatever stands for its placeholders. */
function canBeFilter(text: string): boolean {
  const { parts } = parseText(text);
  if (parts.length === 1 && isPlaceholderIn(text)) return true;
  return isFilter(parts.map((part) => (part.kind === 'literal' ? part.text : 'x')).join(''));
}

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
    if (dn !== undefined && dn !== '' && !isPlaceholderIn(dn) && !dnShape.test(dn)) problems.add(pointer, noDn);
  const { filter = '(objectClass=inetOrgPerson)', groupFilter = '(objectClass=groupOfNames)' } = input;
  for (const [pointer, text] of Object.entries({ '/filter': filter, '/groupFilter': groupFilter }))
    if (!canBeFilter(text)) problems.add(pointer, noFilter);
  const credentials = readCredentials(given({ bindCredential }), scope, problems);
  const change = credentials.get('bindCredential');
  if (isGiven(change) && bindDn === undefined) problems.add('/bindDn', 'A credential is for a name.');
  const texts = given({ bindDn, baseDn, filter, groupBaseDn: input.groupBaseDn, groupFilter });
  for (const [name, text] of Object.entries(texts)) checkPlainText(text, `/${name}`, problems);
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
