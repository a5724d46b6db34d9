import { Type } from 'typebox';
import { Id, Label, Time } from '../names.ts';
import { ActionsField, Closed, Page, route, wholePageQuery } from '../route.ts';
import { DisplayName, listFilter, Revision, Roles } from './identities.ts';

const ServiceAccount = Closed({
  id: Id,
  name: Type.String(),
  displayName: Type.String(),
  domain: Type.Optional(Type.String({ description: 'The domain it belongs to; absent: the platform' })),
  roles: Roles,
  isDisabled: Type.Boolean(),
  revision: Revision,
  createdAt: Time,
  updatedAt: Time,
  actions: ActionsField,
});

const tokenFields = {
  id: Id,
  prefix: Type.String({ description: '`srt_`' }),
  lastFour: Type.String(),
  description: Type.String(),
  createdAt: Time,
  expiresAt: Type.Union([Time, Type.Null()], { description: 'null: never' }),
  lastUsedAt: Type.Optional(Time),
  revokedAt: Type.Optional(Time),
};
const TokenSummary = Closed(tokenFields);
const IssuedToken = Closed({
  ...tokenFields,
  token: Type.String({ description: 'The credential, shown once' }),
});

const NewToken = Closed({
  description: Type.Optional(Type.String({ maxLength: 200 })),
  expiresInDays: Type.Optional(
    Type.Union([Type.Integer({ minimum: 1, maximum: 365 }), Type.Null()], {
      description: 'Default 90; null: never expires, which only revoking ends',
    }),
  ),
});
const NewServiceAccount = {
  name: Label,
  displayName: Type.Optional(DisplayName),
};

const accountParams = Closed({ serviceAccount: Id });
const tokenParams = Closed({ serviceAccount: Id, token: Id });
const domainParams = Closed({ domain: Label });
const domainAccountParams = Closed({ domain: Label, serviceAccount: Id });
const domainTokenParams = Closed({ domain: Label, serviceAccount: Id, token: Id });

const manage = { kind: 'platform', action: 'identity.manage' } as const;
const list = { kind: 'platform', action: 'identity.list' } as const;
const manageInDomain = { kind: 'scope', action: 'access.manage' } as const;

const changeAccountBody = Closed({
  displayName: Type.Optional(DisplayName),
  roles: Type.Optional(Roles),
  isDisabled: Type.Optional(Type.Boolean()),
});
const changeDomainAccountBody = Closed({
  displayName: Type.Optional(DisplayName),
  isDisabled: Type.Optional(Type.Boolean()),
});

export const serviceAccountRoutes = [
  route({
    id: 'createServiceAccount',
    method: 'POST',
    path: '/v1/service-accounts',
    summary: 'Create a service account of the platform, or of the domain named',
    tag: 'identities',
    access: manage,
    body: Closed({ ...NewServiceAccount, domain: Type.Optional(Label), roles: Type.Optional(Roles) }),
    status: 201,
    response: ServiceAccount,
    errors: ['already_exists', 'not_found', 'state_conflict'],
    idempotent: true,
  }),
  route({
    id: 'listServiceAccounts',
    method: 'GET',
    path: '/v1/service-accounts',
    summary: 'List service accounts by name, of the platform and of all domains',
    tag: 'identities',
    access: list,
    query: Closed(listFilter),
    status: 200,
    response: Page(ServiceAccount),
    errors: ['cursor_invalid'],
  }),
  route({
    id: 'showServiceAccount',
    method: 'GET',
    path: '/v1/service-accounts/{serviceAccount}',
    summary: 'Show one service account',
    tag: 'identities',
    access: list,
    params: accountParams,
    status: 200,
    response: ServiceAccount,
    errors: ['not_found'],
  }),
  route({
    id: 'updateServiceAccount',
    method: 'PATCH',
    path: '/v1/service-accounts/{serviceAccount}',
    summary: 'Change display name or roles, or disable: its tokens stop at once',
    tag: 'identities',
    access: manage,
    params: accountParams,
    body: changeAccountBody,
    status: 200,
    response: ServiceAccount,
    errors: ['not_found', 'last_admin', 'revision_mismatch', 'state_conflict'],
    ifMatch: true,
  }),
  route({
    id: 'deleteServiceAccount',
    method: 'DELETE',
    path: '/v1/service-accounts/{serviceAccount}',
    summary: 'Delete a service account: its tokens stop at once',
    tag: 'identities',
    access: manage,
    params: accountParams,
    status: 204,
    errors: ['not_found', 'last_admin', 'revision_mismatch'],
    ifMatch: true,
  }),
  route({
    id: 'issueToken',
    method: 'POST',
    path: '/v1/service-accounts/{serviceAccount}/tokens',
    summary: 'Issue a token; it is shown once',
    tag: 'identities',
    access: manage,
    params: accountParams,
    body: NewToken,
    status: 201,
    response: IssuedToken,
    errors: ['not_found', 'replayed_issue', 'limit_exceeded', 'state_conflict'],
    idempotent: true,
  }),
  route({
    id: 'listTokens',
    method: 'GET',
    path: '/v1/service-accounts/{serviceAccount}/tokens',
    summary: 'List tokens, newest first, revoked and expired ones included for 90 days',
    tag: 'identities',
    access: list,
    params: accountParams,
    query: Closed(wholePageQuery),
    status: 200,
    response: Page(TokenSummary),
    errors: ['not_found', 'cursor_invalid'],
  }),
  route({
    id: 'revokeToken',
    method: 'DELETE',
    path: '/v1/service-accounts/{serviceAccount}/tokens/{token}',
    summary: 'Revoke a token: the next call with it is refused',
    tag: 'identities',
    access: manage,
    params: tokenParams,
    status: 204,
    errors: ['not_found'],
  }),
] as const;

/** The same for those who manage access in one domain; other service accounts don't exist here. */
export const domainServiceAccountRoutes = [
  route({
    id: 'createDomainServiceAccount',
    method: 'POST',
    path: '/v1/domains/{domain}/service-accounts',
    summary: 'Create a service account of the domain',
    tag: 'identities',
    access: manageInDomain,
    params: domainParams,
    body: Closed(NewServiceAccount),
    status: 201,
    response: ServiceAccount,
    errors: ['already_exists'],
    idempotent: true,
  }),
  route({
    id: 'listDomainServiceAccounts',
    method: 'GET',
    path: '/v1/domains/{domain}/service-accounts',
    summary: 'List the service accounts of the domain by name',
    tag: 'identities',
    access: { kind: 'scope', action: 'access.view' },
    params: domainParams,
    query: Closed(listFilter),
    status: 200,
    response: Page(ServiceAccount),
    errors: ['cursor_invalid'],
  }),
  route({
    id: 'showDomainServiceAccount',
    method: 'GET',
    path: '/v1/domains/{domain}/service-accounts/{serviceAccount}',
    summary: 'Show one service account of the domain',
    tag: 'identities',
    access: { kind: 'scope', action: 'access.view' },
    params: domainAccountParams,
    status: 200,
    response: ServiceAccount,
    errors: ['not_found'],
  }),
  route({
    id: 'updateDomainServiceAccount',
    method: 'PATCH',
    path: '/v1/domains/{domain}/service-accounts/{serviceAccount}',
    summary: 'Change the display name, or disable: its tokens stop at once',
    tag: 'identities',
    access: manageInDomain,
    params: domainAccountParams,
    body: changeDomainAccountBody,
    status: 200,
    response: ServiceAccount,
    errors: ['not_found', 'revision_mismatch'],
    ifMatch: true,
  }),
  route({
    id: 'deleteDomainServiceAccount',
    method: 'DELETE',
    path: '/v1/domains/{domain}/service-accounts/{serviceAccount}',
    summary: 'Delete a service account of the domain: its tokens stop at once',
    tag: 'identities',
    access: manageInDomain,
    params: domainAccountParams,
    status: 204,
    errors: ['not_found', 'revision_mismatch'],
    ifMatch: true,
  }),
  route({
    id: 'issueDomainToken',
    method: 'POST',
    path: '/v1/domains/{domain}/service-accounts/{serviceAccount}/tokens',
    summary: 'Issue a token; it is shown once',
    tag: 'identities',
    access: manageInDomain,
    params: domainAccountParams,
    body: NewToken,
    status: 201,
    response: IssuedToken,
    errors: ['not_found', 'replayed_issue', 'limit_exceeded', 'state_conflict'],
    idempotent: true,
  }),
  route({
    id: 'listDomainTokens',
    method: 'GET',
    path: '/v1/domains/{domain}/service-accounts/{serviceAccount}/tokens',
    summary: 'List tokens, newest first, revoked and expired ones included for 90 days',
    tag: 'identities',
    access: manageInDomain,
    params: domainAccountParams,
    query: Closed(wholePageQuery),
    status: 200,
    response: Page(TokenSummary),
    errors: ['not_found', 'cursor_invalid'],
  }),
  route({
    id: 'revokeDomainToken',
    method: 'DELETE',
    path: '/v1/domains/{domain}/service-accounts/{serviceAccount}/tokens/{token}',
    summary: 'Revoke a token: the next call with it is refused',
    tag: 'identities',
    access: manageInDomain,
    params: domainTokenParams,
    status: 204,
    errors: ['not_found'],
  }),
] as const;
