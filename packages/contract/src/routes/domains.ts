import { Type } from 'typebox';
import { FreeText, Id, Label, ManagedBy, Time } from '../names.ts';
import { storeNames } from '../store-names.ts';
import { dryRunQuery } from './configuration-routes.ts';
import { ActionsField, Closed, Page, pageQuery, route } from '../route.ts';

const DisplayName = Type.String({ maxLength: 200 });

const Domain = Closed({
  id: Id,
  name: Label,
  displayName: Type.String(),
  description: Type.String(),
  store: Type.Enum([...storeNames], { description: 'Where the values of its secrets are' }),
  managedBy: ManagedBy,
  revision: Type.Integer({ description: 'The ETag; send it as If-Match to change only what you read' }),
  createdAt: Time,
  updatedAt: Time,
  actions: ActionsField,
});

const domainParams = Closed({ domain: Label });

export const domainRoutes = [
  route({
    id: 'listDomains',
    method: 'GET',
    path: '/v1/domains',
    summary: 'List the domains the caller sees, by name; q is part of the name or display name',
    tag: 'domains',
    access: { kind: 'authenticated', reason: 'Filtered to domains where the caller has a standing or a role' },
    query: Closed(pageQuery),
    status: 200,
    response: Page(Domain),
    errors: ['cursor_invalid'],
  }),
  route({
    id: 'createDomain',
    method: 'POST',
    path: '/v1/domains',
    summary: 'Create a domain; the caller becomes its OWNER',
    tag: 'domains',
    access: { kind: 'platform', action: 'domain.create' },
    query: dryRunQuery,
    body: Closed({
      name: Label,
      displayName: Type.Optional(DisplayName),
      description: Type.Optional(FreeText),
      store: Type.Optional(
        Type.Enum([...storeNames], {
          description: 'Where the values of its secrets will be; as configured without it',
        }),
      ),
      managedBy: ManagedBy,
    }),
    status: 201,
    response: Domain,
    errors: ['already_exists'],
    idempotent: true,
  }),
  route({
    id: 'showDomain',
    method: 'GET',
    path: '/v1/domains/{domain}',
    summary: 'One domain',
    tag: 'domains',
    access: { kind: 'scope', action: 'domain.view' },
    params: domainParams,
    status: 200,
    response: Domain,
  }),
  route({
    id: 'updateDomain',
    method: 'PATCH',
    path: '/v1/domains/{domain}',
    summary:
      'Change what a domain is called and described as, or, while it holds no secret, where its values will be; its name stays',
    tag: 'domains',
    access: { kind: 'scope', action: 'domain.manage' },
    params: domainParams,
    query: dryRunQuery,
    body: Closed({
      displayName: Type.Optional(DisplayName),
      description: Type.Optional(FreeText),
      store: Type.Optional(Type.Enum([...storeNames])),
    }),
    status: 200,
    response: Domain,
    errors: ['state_conflict', 'version_conflict'],
    ifMatch: true,
  }),
  route({
    id: 'deleteDomain',
    method: 'DELETE',
    path: '/v1/domains/{domain}',
    summary: 'Delete a domain and destroy the keys of its secrets; with content only when forced. OWNER only',
    tag: 'domains',
    access: { kind: 'scope', action: 'domain.manage' },
    params: domainParams,
    query: Closed({ force: Type.Optional(Type.Boolean({ default: false, description: 'Delete what it holds, too' })) }),
    status: 204,
    errors: ['in_use', 'version_conflict'],
    ifMatch: true,
  }),
] as const;
