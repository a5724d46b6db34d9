import { Type, type TObject, type TSchema } from 'typebox';
import { actionTable } from './actions.ts';
import { type ErrorCode, errorTable } from './errors.ts';
import { Closed, type RouteDeclaration } from './route.ts';

/** The body of every error answer (RFC 9457), as `application/problem+json`. */
export const Problem = Closed(
  {
    type: Type.String({ description: 'URI of the kind of problem: urn:strongroom:error:CODE' }),
    title: Type.String({ description: 'The same for every occurrence of the code' }),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    code: Type.String({ description: 'A code of the error table' }),
    detail: Type.Optional(Type.String({ description: 'What happened this time' })),
    hint: Type.String({ description: 'What the reader can do next' }),
    requestId: Type.String({ description: 'The same as X-Request-Id; the server’s log has it' }),
    errors: Type.Optional(
      Type.Array(
        Closed({
          pointer: Type.String({
            description: 'RFC 6901 JSON pointer into the body, or the name of a parameter or header',
          }),
          message: Type.String(),
          reference: Type.Optional(Type.String()),
          code: Type.Optional(Type.String()),
          fixableBy: Type.Optional(Type.Array(Type.String())),
        }),
      ),
    ),
  },
  { title: 'Problem', description: 'RFC 9457 problem details' },
);

/** What any route can answer, whatever it does. */
const codesOfAll: readonly ErrorCode[] = [
  'request_malformed',
  'validation_failed',
  'host_not_allowed',
  'headers_too_large',
  'request_timeout',
  'throttled',
  'storage_unavailable',
  'deadline_exceeded',
  'shutting_down',
  'internal',
];

/**
 * Every code a route can answer: its own and those that follow from what it declares. The server logs an answer outside
 * this list as its own mistake.
 */
export function errorCodesOf(route: RouteDeclaration): readonly ErrorCode[] {
  const codes = new Set<ErrorCode>([...codesOfAll, ...(route.errors ?? [])]);
  if (route.access.kind !== 'public')
    // A workload’s token is recorded at its first use, and its cluster may be away.
    for (const code of ['unauthenticated', 'credentials_invalid', 'backend_unavailable', 'audit_unavailable'] as const)
      codes.add(code);
  if (route.access.kind !== 'public' && route.access.kind !== 'authenticated')
    for (const code of ['not_found', 'permission_missing', 'audit_unavailable'] as const) codes.add(code);
  // Cookie sessions and other sites' pages are told apart on whatever changes something or needs a sign-in.
  if (route.access.kind !== 'public' || route.method !== 'GET') codes.add('csrf_failed');
  if (route.method !== 'GET') for (const code of ['media_type_unsupported', 'limit_exceeded'] as const) codes.add(code);
  if (route.body !== undefined || route.method !== 'GET') codes.add('audit_unavailable').add('storage_full');
  // A write is bound to what was read and decided; others may keep changing that until it gives up.
  if (route.method !== 'GET' && route.access.kind !== 'public') codes.add('version_conflict');
  if (route.query !== undefined && 'cursor' in route.query.properties) codes.add('cursor_invalid');
  if (route.feature !== undefined) codes.add('feature_disabled');
  if (route.ifMatch === true) codes.add('revision_mismatch');
  if (route.idempotent === true) codes.add('idempotency_mismatch');
  return (Object.keys(errorTable) as ErrorCode[]).filter((code) => codes.has(code));
}

/** Who may call a route, in one line for people. */
export function describeAccess(route: RouteDeclaration): string {
  const { access } = route;
  switch (access.kind) {
    case 'public':
      return `everybody (${access.reason})`;
    case 'authenticated':
      return `everybody signed in (${access.reason})`;
    case 'platform':
      return `${access.action}: ${actionTable[access.action].roles.join(', ')}`;
    case 'scope':
      return `${access.action} in the scope of the path`;
    case 'asset':
      return `${access.action}: ${actionTable[access.action].permission} on the bundle of {${access.parameter}}`;
  }
}

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
type JsonObject = { readonly [key: string]: Json };

/** The OpenAPI 3.1 document of these routes; plain data, the same for the same input. */
export function openapi(routes: readonly RouteDeclaration[], version: string): JsonObject {
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of routes) (paths[route.path] ??= {})[route.method.toLowerCase()] = operation(route);
  const tags = [...new Set(routes.map((route) => route.tag))].sort();
  return {
    openapi: '3.1.0',
    info: {
      title: 'Strongroom',
      version,
      summary: 'A secrets control plane for data platforms',
      description:
        'Values go in and never come out: no response holds one. Errors are RFC 9457 problem details with a code of one table. Lists are `{items, nextCursor}`; times are RFC 3339 in UTC.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: tags.map((name) => ({ name })),
    paths,
    components: {
      schemas: { Problem: plain(Problem) },
      responses: problemResponses(),
      headers: {
        requestId: { description: 'Made by the server for this request', schema: { type: 'string' } },
        etag: { description: 'A revision counter in quotes, for If-Match', schema: { type: 'string' } },
        retryAfter: { description: 'Seconds', schema: { type: 'integer' } },
      },
      parameters: {
        ifMatch: {
          name: 'If-Match',
          in: 'header',
          description: 'The ETag that was read; 412 when it has changed since',
          schema: { type: 'string', examples: ['"3"'] },
        },
        idempotencyKey: {
          name: 'Idempotency-Key',
          in: 'header',
          description: 'The stored answer is given again for 24 hours to the same caller, key and body',
          schema: { type: 'string', pattern: '^[!-~]{1,255}$' },
        },
      },
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'A token `srt_…`, or a workload’s JWT' },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: '__Host-strongroom',
          description: 'The console’s session; the tab’s token goes in X-Strongroom-Tab',
        },
      },
    },
  };
}

function operation(route: RouteDeclaration): JsonObject {
  const codes = errorCodesOf(route);
  return {
    operationId: route.id,
    summary: route.summary,
    tags: [route.tag],
    security: route.access.kind === 'public' ? [] : [{ bearer: [] }, { session: [] }],
    parameters: [
      ...parameters(route.params, 'path'),
      ...parameters(route.query, 'query'),
      ...(route.ifMatch === true ? [{ $ref: '#/components/parameters/ifMatch' }] : []),
      ...(route.idempotent === true ? [{ $ref: '#/components/parameters/idempotencyKey' }] : []),
    ],
    ...(route.body === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': { schema: plain(route.body) } } } }),
    responses: { [String(route.status)]: success(route), ...problemReferences(codes) },
    'x-strongroom-access': plain(route.access),
    'x-strongroom-errors': codes,
    ...(route.isLaunch === true ? { 'x-strongroom-is-launch': true } : {}),
    ...(route.feature === undefined ? {} : { 'x-strongroom-feature': route.feature }),
  };
}

function parameters(schema: TObject | undefined, place: 'path' | 'query'): Json[] {
  if (schema === undefined) return [];
  const required = new Set<string>(schema.required ?? []);
  return Object.entries(schema.properties).map(([name, property]) => ({
    name,
    in: place,
    required: place === 'path' || required.has(name),
    schema: plain(property),
  }));
}

function success(route: RouteDeclaration): JsonObject {
  const headers = {
    'X-Request-Id': { $ref: '#/components/headers/requestId' },
    ETag: { $ref: '#/components/headers/etag' },
  };
  if (route.raw !== undefined)
    return {
      description: route.raw.description,
      headers,
      content: Object.fromEntries(
        [route.raw.mediaType, ...(route.raw.otherMediaTypes ?? [])].map((type) => [
          type,
          { schema: { type: 'string' } },
        ]),
      ),
    };
  if (route.response === undefined) return { description: 'Done', headers };
  return { description: 'Done', headers, content: { 'application/json': { schema: plain(route.response) } } };
}

/** References to the shared answers of the statuses that these codes have; `x-strongroom-errors` has the codes themselves. */
function problemReferences(codes: readonly ErrorCode[]): Record<string, JsonObject> {
  const statuses = [...new Set(codes.map((code) => errorTable[code].status))];
  return Object.fromEntries(
    statuses.map((status) => [String(status), { $ref: `#/components/responses/problem${status}` }]),
  );
}

/** One answer for each status of the error table, with all codes that have it. */
function problemResponses(): Record<string, JsonObject> {
  const codes = Object.keys(errorTable) as ErrorCode[];
  const byStatus = Map.groupBy(codes, (code) => errorTable[code].status);
  return Object.fromEntries([...byStatus].map(([status, mine]) => [`problem${status}`, problemResponse(status, mine)]));
}

function problemResponse(status: number, codes: readonly ErrorCode[]): JsonObject {
  const hasRetryAfter = status === 429 || status === 503;
  return {
    description: codes.map((code) => `\`${code}\`: ${errorTable[code].title}.`).join('\n'),
    headers: {
      'X-Request-Id': { $ref: '#/components/headers/requestId' },
      ...(hasRetryAfter ? { 'Retry-After': { $ref: '#/components/headers/retryAfter' } } : {}),
    },
    content: {
      'application/problem+json': {
        schema: { allOf: [{ $ref: '#/components/schemas/Problem' }, { properties: { code: { enum: codes } } }] },
      },
    },
  };
}

/** A schema or a declaration as plain JSON: without the markers TypeBox keeps for its types. */
function plain(value: TSchema | object): Json {
  return JSON.parse(JSON.stringify(value)) as Json;
}
