import { Type, type TObject, type TProperties, type TSchema } from 'typebox';
import { IntegrationName, Label } from '../names.ts';
import { Closed, Page, pageQuery, route } from '../route.ts';
import { dryRunQuery } from './configuration-routes.ts';
import {
  Choice,
  ChoiceSource,
  ConformanceReport,
  ConformanceRequest,
  DomainIntegrationCreate,
  DomainIntegrationUpdate,
  Integration,
  IntegrationForm,
  PlatformIntegrationCreate,
  PlatformIntegrationUpdate,
  RefreshResult,
  TestResult,
} from './integration-schemas.ts';
import { scopeKinds } from '../roles.ts';
import { broken } from './secret-schemas.ts';

/** Connections that somebody may try in a minute: enough for a form, too few to look for ports with. */
const triesPerMinute = 60;

/**
 * The same routes under `/v1/admin`, `/v1/global` and `/v1/domains/{domain}`; their ids have the scope after the verb:
 * `createDomainIntegration`.
 */
function integrationRoutesUnder<
  const Kind extends 'Admin' | 'Global' | 'Domain',
  const Scope extends TProperties,
  const Create extends TSchema,
  const Update extends TSchema,
>(kind: Kind, base: string, scope: Scope, bodies: { readonly create: Create; readonly update: Update }) {
  const onScope = Closed({ ...scope });
  const onName = Closed({ ...scope, name: IntegrationName });
  const asset = <const Action extends 'integration.view' | 'integration.update'>(action: Action) =>
    ({ kind: 'asset', action, parameter: 'name' }) as const;
  const feature = 'secretsV2';
  const tag = 'integrations';
  const id = <const Verb extends string, const Noun extends string>(verb: Verb, noun: Noun) =>
    `${verb}${kind}${noun}` as const;
  return [
    route({
      id: id('create', 'Integration'),
      method: 'POST',
      path: `${base}/integrations`,
      summary: 'Connect a backend; its credentials are kept sealed and never shown',
      tag,
      access: { kind: 'scope', action: 'integration.create' },
      feature,
      params: onScope,
      query: dryRunQuery,
      body: bodies.create,
      status: 201,
      response: Integration,
      idempotent: true,
      errors: ['already_exists', 'key_clash', 'egress_denied', 'key_unavailable'],
    }),
    route({
      id: id('list', 'Integrations'),
      method: 'GET',
      path: `${base}/integrations`,
      summary: 'The integrations the caller may see, by name',
      tag,
      access: { kind: 'scope', action: 'domain.view' },
      feature,
      params: onScope,
      query: Closed({ ...pageQuery }),
      status: 200,
      response: Page(Integration),
      errors: ['cursor_invalid'],
    }),
    route({
      id: id('show', 'Integration'),
      method: 'GET',
      path: `${base}/integrations/{name}`,
      summary: 'An integration without its credentials',
      tag,
      access: asset('integration.view'),
      feature,
      params: onName,
      status: 200,
      response: Integration,
    }),
    route({
      id: id('update', 'Integration'),
      method: 'PATCH',
      path: `${base}/integrations/{name}`,
      summary:
        'Change an integration; what is left out stays. Another address, namespace or method asks for the credentials anew',
      tag,
      access: asset('integration.update'),
      feature,
      params: onName,
      query: dryRunQuery,
      body: bodies.update,
      status: 200,
      response: Integration,
      ifMatch: true,
      errors: ['revision_mismatch', 'egress_denied', 'key_unavailable'],
    }),
    route({
      id: id('delete', 'Integration'),
      method: 'DELETE',
      path: `${base}/integrations/{name}`,
      summary: 'Delete an integration and destroy its credentials',
      tag,
      access: asset('integration.update'),
      feature,
      params: onName,
      query: Closed({ force: Type.Optional(Type.Boolean({ description: 'Delete although it is used' })) }),
      status: 200,
      response: Closed({ name: Type.String(), ...broken }),
      ifMatch: true,
      errors: ['in_use', 'revision_mismatch'],
    }),
    route({
      id: id('test', 'IntegrationForm'),
      method: 'POST',
      path: `${base}/integrations/test`,
      summary: 'Try a connection before it is saved; nothing of it is kept',
      tag,
      access: { kind: 'scope', action: 'integration.create' },
      feature,
      params: onScope,
      body: IntegrationForm,
      status: 200,
      response: TestResult,
      errors: ['egress_denied', 'key_unavailable', 'not_supported'],
      rateLimitPerMinute: triesPerMinute,
    }),
    route({
      id: id('test', 'Integration'),
      method: 'POST',
      path: `${base}/integrations/{name}/test`,
      summary: 'Try the connection as it is saved',
      tag,
      access: asset('integration.update'),
      feature,
      params: onName,
      status: 200,
      response: TestResult,
      errors: ['state_conflict', 'key_unavailable', 'not_supported'],
      rateLimitPerMinute: triesPerMinute,
    }),
    route({
      id: id('refresh', 'Integration'),
      method: 'POST',
      path: `${base}/integrations/{name}/refresh`,
      summary: 'List its keys anew, for selectors',
      tag,
      access: asset('integration.update'),
      feature,
      params: onName,
      status: 200,
      response: RefreshResult,
      errors: ['state_conflict', 'key_unavailable', 'not_supported'],
      rateLimitPerMinute: triesPerMinute,
    }),
    route({
      id: id('check', 'IntegrationConformance'),
      method: 'POST',
      path: `${base}/integrations/{name}/conformance`,
      summary:
        'Run the conformance suite against it: reads at most 20 keys, keeps nothing of them, writes nothing there',
      tag,
      access: asset('integration.update'),
      feature,
      params: onName,
      body: ConformanceRequest,
      status: 200,
      response: ConformanceReport,
      errors: ['state_conflict', 'key_unavailable', 'not_supported'],
      rateLimitPerMinute: triesPerMinute,
    }),
  ] as const;
}

const platformBodies = { create: PlatformIntegrationCreate, update: PlatformIntegrationUpdate } as const;
const domainParameter = { domain: Label } as const satisfies TProperties;

export const adminIntegrationRoutes = integrationRoutesUnder('Admin', '/v1/admin', {}, platformBodies);
export const globalIntegrationRoutes = integrationRoutesUnder('Global', '/v1/global', {}, platformBodies);
export const domainIntegrationRoutes = integrationRoutesUnder('Domain', '/v1/domains/{domain}', domainParameter, {
  create: DomainIntegrationCreate,
  update: DomainIntegrationUpdate,
});

const OnGlobal: TObject<{ name: typeof IntegrationName }> = Closed({ name: IntegrationName });
const Assignments = Closed({ all: Type.Boolean(), domains: Type.Array(Label) });

/** Domains that may use a Global integration. */
export const integrationAssignmentRoutes = [
  route({
    id: 'showIntegrationAssignments',
    method: 'GET',
    path: '/v1/global/integrations/{name}/assignments',
    summary: 'Domains that may use a Global integration; none until it is assigned',
    tag: 'integrations',
    access: { kind: 'asset', action: 'integration.view', parameter: 'name' },
    feature: 'secretsV2',
    params: OnGlobal,
    status: 200,
    response: Assignments,
  }),
  route({
    id: 'putIntegrationAssignments',
    method: 'PUT',
    path: '/v1/global/integrations/{name}/assignments',
    summary: 'Assign a Global integration to all domains, to named ones, or to none',
    tag: 'integrations',
    access: { kind: 'asset', action: 'integration.update', parameter: 'name' },
    feature: 'secretsV2',
    params: OnGlobal,
    query: dryRunQuery,
    body: Closed({
      all: Type.Optional(Type.Boolean()),
      domains: Type.Optional(Type.Array(Label, { maxItems: 1000, uniqueItems: true })),
    }),
    status: 200,
    response: Assignments,
  }),
] as const;

const choiceQuery = Closed({
  ...pageQuery,
  source: Type.Optional(IntegrationName),
  scope: Type.Optional(Type.Enum([...scopeKinds])),
});
const Choices = Closed({
  items: Type.Array(Choice),
  nextCursor: Type.Optional(Type.String()),
  sources: Type.Array(ChoiceSource, {
    description: 'One that is down has its error here; the rest is listed all the same',
  }),
});

/** What selectors offer. */
export const domainChoiceRoutes = [
  route({
    id: 'listDomainChoices',
    method: 'GET',
    path: '/v1/domains/{domain}/choices',
    summary: 'Secrets that the caller may use in the domain, from all sources',
    tag: 'integrations',
    access: { kind: 'scope', action: 'domain.view' },
    feature: 'secretsV2',
    params: Closed(domainParameter),
    query: choiceQuery,
    status: 200,
    response: Choices,
    errors: ['cursor_invalid'],
  }),
] as const;

export const platformChoiceRoutes = [
  route({
    id: 'listPlatformChoices',
    method: 'GET',
    path: '/v1/platform/choices',
    summary: 'Secrets that the platform’s own surfaces may use: those of Admin and Global',
    tag: 'integrations',
    access: { kind: 'scope', action: 'domain.view' },
    feature: 'secretsV2',
    params: Closed({}),
    query: choiceQuery,
    status: 200,
    response: Choices,
    errors: ['cursor_invalid'],
  }),
] as const;

export const integrationRoutes = [
  ...adminIntegrationRoutes,
  ...globalIntegrationRoutes,
  ...domainIntegrationRoutes,
  ...integrationAssignmentRoutes,
  ...domainChoiceRoutes,
  ...platformChoiceRoutes,
] as const;
