import type { TSchema } from 'typebox';
import type { PlatformAction } from '../actions.ts';
import { route } from '../route.ts';
import { dryRunQuery, preflightErrors, preflightsPerMinute, preflightSummary } from './configuration-routes.ts';
import { Preflight } from './runs.ts';
import { platformSurfaceActions } from '../surfaces/actions.ts';
import { Email, EmailPut, EmailTest } from '../surfaces/email.ts';
import { Ldap, LdapPut, LdapSyncState, LdapTest } from '../surfaces/ldap.ts';
import { SurfaceTest } from '../surfaces/test-steps.ts';

interface PlatformSchemas<Put extends TSchema, Test extends TSchema, Shown extends TSchema> {
  readonly put: Put;
  readonly test: Test;
  readonly shown: Shown;
}

/** Show, put, delete, test: what every configuration of the platform has. */
function platformSurfaceRoutes<
  const Noun extends string,
  Put extends TSchema,
  Test extends TSchema,
  Shown extends TSchema,
>(
  noun: Noun,
  title: string,
  actions: { readonly view: PlatformAction; readonly manage: PlatformAction },
  schemas: PlatformSchemas<Put, Test, Shown>,
) {
  const tag = noun.toLowerCase();
  const path = `/v1/platform/${tag}`;
  return [
    route({
      id: `show${noun}`,
      method: 'GET',
      path,
      summary: `The ${title}: settings and references, never a secret; 404 while there is none`,
      tag,
      access: { kind: 'platform', action: actions.view },
      status: 200,
      response: schemas.shown,
      errors: ['not_found'],
    }),
    route({
      id: `put${noun}`,
      method: 'PUT',
      path,
      summary: `Make or replace the ${title}; what is left out of credentials stays`,
      tag,
      access: { kind: 'platform', action: actions.manage },
      query: dryRunQuery,
      body: schemas.put,
      status: 200,
      response: schemas.shown,
      errors: [
        'not_found',
        'reference_unresolved',
        'destination_refused',
        'egress_denied',
        'limit_exceeded',
        'feature_disabled',
        'revision_mismatch',
        'version_conflict',
        'already_exists',
      ],
      ifMatch: true,
    }),
    route({
      id: `delete${noun}`,
      method: 'DELETE',
      path,
      summary: `Delete the ${title}, with the secret it owns`,
      tag,
      access: { kind: 'platform', action: actions.manage },
      status: 204,
      errors: ['not_found', 'revision_mismatch', 'version_conflict'],
      ifMatch: true,
    }),
    route({
      id: `test${noun}`,
      method: 'POST',
      path: `${path}/test`,
      summary: `Try a form of the ${title} without saving it`,
      tag,
      access: { kind: 'platform', action: actions.manage },
      body: schemas.test,
      status: 200,
      response: SurfaceTest,
      errors: ['not_found', 'destination_refused', 'egress_denied', 'audit_unavailable', 'version_conflict'],
      rateLimitPerMinute: 30,
    }),
    route({
      id: `preflight${noun}`,
      method: 'POST',
      path: `${path}/preflight`,
      summary: preflightSummary('the server'),
      tag,
      access: { kind: 'platform', action: actions.manage },
      status: 200,
      response: Preflight,
      errors: ['not_found', ...preflightErrors],
      rateLimitPerMinute: preflightsPerMinute,
    }),
  ] as const;
}

export const emailRoutes = platformSurfaceRoutes('Email', 'mail server', platformSurfaceActions.email, {
  put: EmailPut,
  test: EmailTest,
  shown: Email,
});

export const ldapRoutes = [
  ...platformSurfaceRoutes('Ldap', 'directory', platformSurfaceActions.ldap, {
    put: LdapPut,
    test: LdapTest,
    shown: Ldap,
  }),
  route({
    id: 'syncLdap',
    method: 'POST',
    path: '/v1/platform/ldap/sync',
    summary: 'Sync users and groups now, and say what came of it',
    tag: 'ldap',
    access: { kind: 'platform', action: platformSurfaceActions.ldap.manage },
    status: 200,
    response: LdapSyncState,
    errors: ['not_found', 'state_conflict', 'audit_unavailable'],
    rateLimitPerMinute: 30,
  }),
] as const;
