import { Type } from 'typebox';
import { Label, Time } from '../names.ts';
import { Closed, Page, pageQuery, route } from '../route.ts';

const Named = Closed({ id: Type.String(), name: Type.String() });
const Hash = Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256, lower-case hex' });

/** One record as the page shows it. The exact bytes are in the JSON Lines export. */
export const AuditRecord = Closed({
  chain: Type.String(),
  sequence: Type.Integer(),
  at: Time,
  principal: Named,
  action: Type.String(),
  outcome: Type.String(),
  scope: Type.Optional(Named),
  object: Type.Optional(Closed({ type: Type.String(), id: Type.String(), name: Type.String() })),
  requestId: Type.Optional(Type.String()),
  network: Type.Optional(Type.String()),
  launch: Type.Optional(Type.String()),
  reference: Type.Optional(Type.String()),
  source: Type.Optional(Type.String()),
  version: Type.Optional(Type.String()),
  because: Type.Optional(Type.Array(Type.String())),
  detail: Type.Optional(
    Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()])),
  ),
  hash: Hash,
  cut: Type.Optional(Type.Literal(true, { description: 'Texts of more than 2,048 characters were cut' })),
  unreadable: Type.Optional(
    Type.Literal(true, {
      description: 'The stored record is not readable: it was changed. Run strongroom audit verify',
    }),
  ),
});

const filters = {
  principal: Type.Optional(
    Type.String({ maxLength: 256, description: 'Id or name of a user, group or service account; anonymous; system' }),
  ),
  action: Type.Optional(Type.String({ maxLength: 64, examples: ['secret.manage', 'launch.resolve'] })),
  outcome: Type.Optional(Type.Union([Type.Literal('allowed'), Type.Literal('denied'), Type.Literal('failed')])),
  from: Type.Optional(Type.String({ format: 'date-time', description: 'Not before' })),
  to: Type.Optional(Type.String({ format: 'date-time', description: 'Before' })),
};
const scopeFilter = {
  scope: Type.Optional(Type.String({ maxLength: 64, description: 'admin, global, or a domain by name or id' })),
};
/** A page, and whether there is more in the archive. */
const RecordPage = Closed({
  items: Type.Array(AuditRecord),
  nextCursor: Type.Optional(Type.String()),
  archived: Type.Optional(
    Closed(
      { from: Time, to: Time },
      { description: 'Of the time asked for, records between these are in the archive and not in the list' },
    ),
  ),
});
const page = { limit: pageQuery.limit, cursor: pageQuery.cursor };

export const auditRoutes = [
  route({
    id: 'listAuditRecords',
    method: 'GET',
    path: '/v1/audit',
    summary: 'List audit records of the whole installation, newest first',
    tag: 'audit',
    access: { kind: 'platform', action: 'audit.read' },
    query: Closed({ ...page, ...scopeFilter, ...filters }),
    status: 200,
    response: RecordPage,
    errors: ['cursor_invalid'],
  }),
  route({
    id: 'exportAuditRecords',
    method: 'GET',
    path: '/v1/audit/export',
    summary: 'Export the log: JSON Lines to verify offline, always whole; CSV for reading, takes filters',
    tag: 'audit',
    access: { kind: 'platform', action: 'audit.read' },
    query: Closed({
      format: Type.Optional(Type.Union([Type.Literal('jsonl'), Type.Literal('csv')], { default: 'jsonl' })),
      ...scopeFilter,
      ...filters,
    }),
    status: 200,
    raw: {
      mediaType: 'application/x-ndjson',
      otherMediaTypes: ['text/csv; charset=utf-8; header=present'],
      description:
        'JSON Lines, or CSV (RFC 4180, text/csv) with format=csv; cells that a spreadsheet would run are quoted. Of what is archived JSON Lines have the marks alone; the header Strongroom-Archived (from/to) says when records of the time asked for are in the archive',
    },
    errors: ['audit_unavailable'],
    rateLimitPerMinute: 10,
  }),
  route({
    id: 'listAuditSegments',
    method: 'GET',
    path: '/v1/audit/segments',
    summary: 'List what of the log went to the archive, oldest first',
    tag: 'audit',
    access: { kind: 'platform', action: 'audit.read' },
    query: Closed(page),
    status: 200,
    response: Page(
      Closed({
        number: Type.Integer(),
        digest: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of the signed mark' }),
        segment: Type.Optional(Type.String({ description: 'Name of its files, without their endings' })),
        sha256: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of the file' })),
        bytes: Type.Optional(Type.Integer()),
        records: Type.Optional(Type.Integer()),
        from: Type.Optional(Time),
        to: Type.Optional(Time),
        sealedAt: Type.Optional(Time),
        unreadable: Type.Optional(
          Type.Literal(true, { description: 'Its mark was changed. Run strongroom audit verify' }),
        ),
      }),
    ),
    errors: ['cursor_invalid'],
  }),
  route({
    id: 'showAuditAnchor',
    method: 'GET',
    path: '/v1/audit/anchor',
    summary: 'Show the public key and the newest signed statements; kept elsewhere, they show a rolled-back log',
    tag: 'audit',
    access: { kind: 'platform', action: 'audit.read' },
    status: 200,
    response: Closed({
      installation: Type.String(),
      publicKey: Type.String({ description: 'Ed25519, as in the file audit.pub' }),
      keyId: Type.String(),
      checkpoint: Type.Union([
        Closed({
          id: Type.String(),
          at: Time,
          keyId: Type.String(),
          document: Type.String({ description: 'The signed bytes, as text' }),
          signature: Type.String({ description: 'Ed25519 over the document’s bytes, base64url' }),
          heads: Type.Array(Closed({ chain: Type.String(), sequence: Type.Integer(), hash: Hash })),
        }),
        Type.Null(),
      ]),
      lines: Type.Array(Type.String(), {
        description: 'The last line of this server’s anchor file, signed; empty when it has none',
      }),
    }),
  }),
  route({
    id: 'listDomainAuditRecords',
    method: 'GET',
    path: '/v1/domains/{domain}/audit',
    summary: 'List audit records of one domain, newest first',
    tag: 'audit',
    access: { kind: 'scope', action: 'scope.audit' },
    params: Closed({ domain: Label }),
    query: Closed({ ...page, ...filters }),
    status: 200,
    response: RecordPage,
    errors: ['cursor_invalid'],
  }),
] as const;
