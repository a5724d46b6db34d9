import { Type } from 'typebox';
import { Id, Label, Time } from '../names.ts';
import { Closed, Page, pageQuery, route } from '../route.ts';
import { ConfigurationName, SecretInput, surfaceLimits } from '../surfaces/fields.ts';

/** A workload's ephemeral public key: X25519 (RFC 8037) or P-256 (RFC 7518 §6.2). No private member is accepted. */
const EphemeralJwk = Closed({
  kty: Type.Enum(['OKP', 'EC']),
  crv: Type.Enum(['X25519', 'P-256']),
  x: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' }),
  y: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' })),
});

const LaunchCreated = Closed({
  id: Id,
  expiresAt: Time,
  references: Type.Array(Closed({ name: Type.String(), reference: Type.String() })),
});

const Drifted = Closed({
  launch: Id,
  kind: Type.Enum(['run', 'workload']),
  state: Type.String({ description: 'running, unknown (its lease lapsed), or ended' }),
  domain: Type.String(),
  job: Type.Optional(Type.String({ description: 'The configuration, whatever its kind' })),
  surface: Type.Optional(Type.String()),
  subject: Type.String(),
  name: Type.String({ description: 'The variable' }),
  reference: Type.String(),
  source: Type.String(),
  version: Type.String({ description: 'What it got' }),
  currentVersion: Type.Optional(Type.String({ description: 'Absent: the secret is deleted' })),
  checkedAt: Type.Optional(
    Type.String({ format: 'date-time', description: 'When the backend of an integration was last asked' }),
  ),
  deliveredAt: Time,
});

const DriftPage = Closed({
  ...Page(Drifted).properties,
  unchecked: Type.Optional(
    Type.Array(
      Closed({
        source: Type.String(),
        keys: Type.Integer({ description: 'How many keys that running workloads hold' }),
        code: Type.Optional(Type.String({ description: 'Why; absent: it is about to be asked for the first time' })),
        knownAt: Type.Optional(
          Type.String({ format: 'date-time', description: 'When all of them were last known; absent: one never was' }),
        ),
      }),
      { description: 'On the first page: integrations that did not say which versions their keys have' },
    ),
  ),
});

const launchParams = Closed({ id: Id });
const own = {
  kind: 'authenticated',
  reason: 'Only the subject that made the launch finds it; for all others it is a 404',
} as const;
const driftQuery = Closed({
  limit: pageQuery.limit,
  cursor: pageQuery.cursor,
  include: Type.Optional(Type.Literal('ended', { description: 'Runs that had an older version and have ended, too' })),
});

export const launchRoutes = [
  route({
    id: 'createLaunch',
    method: 'POST',
    path: '/v1/domains/{domain}/launches',
    summary: 'Ask for values to be delivered, sealed, to the caller; needs RESOLVE, and USE on each secret',
    tag: 'launches',
    access: { kind: 'scope', action: 'launch.create' },
    feature: 'secretsV2',
    params: Closed({ domain: Label }),
    body: Closed({
      references: Type.Optional(
        Type.Array(
          Closed({
            name: Type.String({ minLength: 1, maxLength: 255, pattern: '^[^\\u0000-\\u001f\\u007f]+$' }),
            reference: SecretInput,
          }),
          {
            minItems: 1,
            maxItems: surfaceLimits.references,
          },
        ),
      ),
      sparkJob: Type.Optional(Label),
      configuration: Type.Optional(ConfigurationName),
    }),
    isLaunch: true,
    status: 201,
    response: LaunchCreated,
    errors: ['reference_unresolved', 'permission_missing', 'launch_refused', 'validation_failed', 'feature_disabled'],
    idempotent: true,
  }),
  route({
    id: 'resolveLaunch',
    method: 'POST',
    path: '/v1/launches/{id}/resolve',
    summary: 'Receive the values as a JWE to the key sent; the first key binds the launch',
    tag: 'launches',
    access: own,
    feature: 'secretsV2',
    params: launchParams,
    body: Closed({ publicKey: EphemeralJwk }),
    status: 200,
    response: Closed({
      jwe: Type.String({
        description:
          'Compact JWE, ECDH-ES and A256GCM, `kid` is the launch; holds {launch, values: [{name, valueBase64}]}',
      }),
      expiresAt: Time,
      heartbeatUntil: Time,
    }),
    errors: [
      'not_found',
      'permission_missing',
      'launch_refused',
      'launch_expired',
      'delivery_bound',
      'audit_unavailable',
      'deadline_exceeded',
      'validation_failed',
    ],
    rateLimitPerMinute: Infinity,
  }),
  route({
    id: 'renewLaunch',
    method: 'POST',
    path: '/v1/launches/{id}/heartbeat',
    summary: 'Say that the workload still runs; past the lease drift calls it unknown',
    tag: 'launches',
    access: own,
    params: launchParams,
    status: 200,
    response: Closed({ heartbeatUntil: Time }),
    errors: ['not_found', 'state_conflict'],
  }),
  route({
    id: 'endLaunch',
    method: 'POST',
    path: '/v1/launches/{id}/end',
    summary: 'Say that the workload has ended and holds the values no more',
    tag: 'launches',
    access: own,
    params: launchParams,
    status: 204,
    errors: ['not_found'],
  }),
  route({
    id: 'listDrift',
    method: 'GET',
    path: '/v1/domains/{domain}/drift',
    summary: 'Running workloads of a domain that hold another version than the current one',
    tag: 'launches',
    access: { kind: 'scope', action: 'secret.list' },
    params: Closed({ domain: Label }),
    query: driftQuery,
    status: 200,
    response: DriftPage,
    errors: ['cursor_invalid'],
  }),
  route({
    id: 'listGlobalDrift',
    method: 'GET',
    path: '/v1/global/drift',
    summary: 'Running workloads of any domain that hold an older version of a Global secret',
    tag: 'launches',
    access: { kind: 'scope', action: 'secret.manage' },
    query: driftQuery,
    status: 200,
    response: DriftPage,
    errors: ['cursor_invalid'],
  }),
] as const;
