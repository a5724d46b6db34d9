import { type TProperties, Type } from 'typebox';
import { labelPattern } from '../name-patterns.ts';
import { Id, IntegrationName, Label, SecretKey } from '../names.ts';
import { platformRoles, presets } from '../roles.ts';
import { Closed, route } from '../route.ts';
import { AssetToAdd, permissionWords, PrincipalName, principalNamePattern } from './access.ts';
import { onNamespace } from './clusters.ts';
import { Impact } from './impact-schemas.ts';
import { onProfile } from './profiles.ts';

/** Several of these words, joined with commas; empty: none of them. */
function Words(words: readonly string[], description: string) {
  const one = `(?:${words.join('|')})`;
  return Type.String({ pattern: `^(?:${one}(?:,${one}){0,${words.length - 1}})?$`, description });
}

const manage = { kind: 'scope', action: 'access.manage' } as const;
const view = { kind: 'scope', action: 'access.view' } as const;
const manageIdentities = { kind: 'platform', action: 'identity.manage' } as const;

function impactRoutesUnder<const Kind extends 'Admin' | 'Global' | 'Domain', const Scope extends TProperties>(
  kind: Kind,
  base: string,
  scope: Scope,
) {
  return [
    route({
      id: `show${kind}SecretImpact`,
      method: 'GET',
      path: `${base}/secrets/{key}/impact`,
      summary: 'What deleting or rotating a secret would hit: configurations to the field, running workloads, domains',
      tag: 'impact',
      access: { kind: 'scope', action: 'secret.manage' },
      // The Global store works whatever the flag says.
      feature: kind === 'Global' ? undefined : 'secretsV2',
      params: Closed({ ...scope, key: SecretKey }),
      query: Closed({ change: Type.Optional(Type.Enum(['delete', 'rotate'], { default: 'delete' })) }),
      status: 200,
      response: Impact,
    }),
    route({
      id: `show${kind}IntegrationImpact`,
      method: 'GET',
      path: `${base}/integrations/{name}/impact`,
      summary: 'What changing or deleting an integration would hit',
      tag: 'impact',
      access: { kind: 'asset', action: 'integration.update', parameter: 'name' },
      feature: 'secretsV2',
      params: Closed({ ...scope, name: IntegrationName }),
      query: Closed({ change: Type.Optional(Type.Enum(['delete', 'edit'], { default: 'delete' })) }),
      status: 200,
      response: Impact,
    }),
  ] as const;
}

const domainWord = labelPattern.slice(1, -1);
const severalLabels = `^(?:${domainWord}(?:,${domainWord}){0,199})?$`;
/** Domains that would go on using it. */
const keptDomains = Closed({
  domains: Type.Optional(
    Type.String({
      pattern: severalLabels,
      description: 'Which would go on using it, joined with commas, 200 at most; absent: none',
    }),
  ),
});

/** What takes something of Global from domains. */
const assignmentRoutes = [
  route({
    id: 'showAssignmentsImpact',
    method: 'GET',
    path: '/v1/global/secrets/{key}/assignments/impact',
    summary: 'What assigning a Global secret to these domains alone would hit in the others that may use it now',
    tag: 'impact',
    access: { kind: 'scope', action: 'secret.manage' },
    params: Closed({ key: SecretKey }),
    query: keptDomains,
    status: 200,
    response: Impact,
  }),
  route({
    id: 'showIntegrationAssignmentsImpact',
    method: 'GET',
    path: '/v1/global/integrations/{name}/assignments/impact',
    summary: 'What assigning a Global integration to these domains alone would hit in the others that may use it now',
    tag: 'impact',
    access: { kind: 'asset', action: 'integration.update', parameter: 'name' },
    feature: 'secretsV2',
    params: Closed({ name: IntegrationName }),
    query: keptDomains,
    status: 200,
    response: Impact,
  }),
] as const;

/** What others stand on without a reference of their own. */
const storageRoutes = [
  route({
    id: 'showStorageConfigImpact',
    method: 'GET',
    path: '/v1/domains/{domain}/storage-configs/{name}/impact',
    summary: 'What deleting a storage configuration would hit: what uses it',
    tag: 'impact',
    access: { kind: 'asset', action: 'storage-config.delete', parameter: 'name' },
    params: Closed({ domain: Label, name: Label }),
    status: 200,
    response: Impact,
  }),
] as const;

/** What takes access away, and is asked before it does. */
const revocationRoutes = [
  route({
    id: 'showMemberImpact',
    method: 'GET',
    path: '/v1/domains/{domain}/members/{principal}/impact',
    summary: 'What removing a member, or giving it another preset, would hit',
    tag: 'impact',
    access: manage,
    params: Closed({ domain: Label, principal: PrincipalName }),
    query: Closed({
      preset: Type.Optional(Type.Enum([...presets], { description: 'In place of the one it has; absent: none' })),
    }),
    status: 200,
    response: Impact,
  }),
  route({
    id: 'showGrantImpact',
    method: 'GET',
    path: '/v1/domains/{domain}/grants/{grant}/impact',
    summary: 'What taking a permission back would hit',
    tag: 'impact',
    access: manage,
    params: Closed({ domain: Label, grant: Id }),
    status: 200,
    response: Impact,
  }),
  route({
    id: 'showBundleGrantImpact',
    method: 'GET',
    path: '/v1/domains/{domain}/bundles/{bundle}/grants/{grant}/impact',
    summary: 'What taking a grant on a bundle back, or putting a lesser one in its place, would hit',
    tag: 'impact',
    // As with taking it back: the bundle’s owner may ask, too, and the service decides with the bundle at hand.
    access: view,
    params: Closed({ domain: Label, bundle: Label, grant: Id }),
    query: Closed({
      permissions: Type.Optional(
        Words(permissionWords, 'In place of those it has, joined with commas; absent: none, it is taken back'),
      ),
    }),
    status: 200,
    response: Impact,
  }),
] as const;

/** What moves assets between bundles, which changes who may use them. */
const bundleImpactRoutes = [
  route({
    id: 'showBundleImpact',
    method: 'GET',
    path: '/v1/domains/{domain}/bundles/{bundle}/impact',
    summary:
      'What deleting a bundle would hit: its grants end, its assets fall back to `default`; or giving it another owner. The bundle’s owner',
    tag: 'impact',
    access: view,
    params: Closed({ domain: Label, bundle: Label }),
    query: Closed({
      owner: Type.Optional(
        Type.String({ pattern: principalNamePattern, description: 'In place of its owner; absent: it is deleted' }),
      ),
    }),
    status: 200,
    response: Impact,
  }),
  route({
    id: 'showBundleAssetImpact',
    method: 'GET',
    path: '/v1/domains/{domain}/bundles/{bundle}/assets/{asset}/impact',
    summary: 'What moving an asset to another bundle, or taking it out, would hit. The bundle’s owner',
    tag: 'impact',
    access: view,
    params: Closed({ domain: Label, bundle: Label, asset: Id }),
    query: Closed({ to: Type.Optional(Label) }),
    status: 200,
    response: Impact,
  }),
  route({
    id: 'showBundleAdditionImpact',
    method: 'GET',
    path: '/v1/domains/{domain}/bundles/{bundle}/assets/impact',
    summary: 'What adding secrets to a bundle, or moving a configuration there, would hit. Who may add them',
    tag: 'impact',
    access: view,
    params: Closed({ domain: Label, bundle: Label }),
    query: AssetToAdd,
    status: 200,
    response: Impact,
  }),
  route({
    id: 'showDomainImpact',
    method: 'GET',
    path: '/v1/domains/{domain}/impact',
    summary: 'What deleting a domain would hit, all it holds. OWNER only',
    tag: 'impact',
    access: { kind: 'scope', action: 'domain.manage' },
    params: Closed({ domain: Label }),
    status: 200,
    response: Impact,
  }),
] as const;

const end = Closed({ change: Type.Optional(Type.Enum(['delete', 'disable'], { default: 'delete' })) });
const keptRoles = Type.Optional(
  Words(platformRoles, 'With `revoke`: its own roles in place of those it has, joined with commas; absent: none'),
);
const endOrRevoke = Closed({
  change: Type.Optional(Type.Enum(['delete', 'disable', 'revoke'], { default: 'delete' })),
  roles: keptRoles,
});

/** What ends or weakens somebody: told with the refusal that the last administrator would meet. */
const identityRoutes = [
  route({
    id: 'showUserImpact',
    method: 'GET',
    path: '/v1/users/{user}/impact',
    summary: 'What deleting or disabling a user, or taking platform roles away, would hit',
    tag: 'impact',
    access: manageIdentities,
    params: Closed({ user: Id }),
    query: endOrRevoke,
    status: 200,
    response: Impact,
  }),
  route({
    id: 'showGroupImpact',
    method: 'GET',
    path: '/v1/groups/{group}/impact',
    summary: 'What deleting a group, or taking its platform roles away, would hit: what its members have by it alone',
    tag: 'impact',
    access: manageIdentities,
    params: Closed({ group: Id }),
    query: Closed({ change: Type.Optional(Type.Enum(['delete', 'revoke'], { default: 'delete' })), roles: keptRoles }),
    status: 200,
    response: Impact,
  }),
  route({
    id: 'showGroupMemberImpact',
    method: 'GET',
    path: '/v1/groups/{group}/members/{principal}/impact',
    summary: 'What taking a member out of a group would hit',
    tag: 'impact',
    access: manageIdentities,
    params: Closed({ group: Id, principal: Id }),
    status: 200,
    response: Impact,
  }),
  route({
    id: 'showServiceAccountImpact',
    method: 'GET',
    path: '/v1/service-accounts/{serviceAccount}/impact',
    summary: 'What deleting or disabling a service account, or taking platform roles away, would hit',
    tag: 'impact',
    access: manageIdentities,
    params: Closed({ serviceAccount: Id }),
    query: endOrRevoke,
    status: 200,
    response: Impact,
  }),
  route({
    id: 'showTokenImpact',
    method: 'GET',
    path: '/v1/service-accounts/{serviceAccount}/tokens/{token}/impact',
    summary: 'What revoking a token would hit; nothing while the account has another way to sign in',
    tag: 'impact',
    access: manageIdentities,
    params: Closed({ serviceAccount: Id, token: Id }),
    status: 200,
    response: Impact,
  }),
  route({
    id: 'showDomainServiceAccountImpact',
    method: 'GET',
    path: '/v1/domains/{domain}/service-accounts/{serviceAccount}/impact',
    summary: 'What deleting or disabling a service account of the domain would hit. Who has what it has',
    tag: 'impact',
    access: manage,
    params: Closed({ domain: Label, serviceAccount: Id }),
    query: end,
    status: 200,
    response: Impact,
  }),
  route({
    id: 'showDomainTokenImpact',
    method: 'GET',
    path: '/v1/domains/{domain}/service-accounts/{serviceAccount}/tokens/{token}/impact',
    summary: 'What revoking a token would hit; nothing while the account has another way to sign in',
    tag: 'impact',
    access: manage,
    params: Closed({ domain: Label, serviceAccount: Id, token: Id }),
    status: 200,
    response: Impact,
  }),
  route({
    id: 'showWorkloadImpact',
    method: 'GET',
    path: '/v1/domains/{domain}/service-accounts/{serviceAccount}/workloads/{workload}/impact',
    summary: 'What ending that pods act as an account would hit; nothing while the account has another way to sign in',
    tag: 'impact',
    access: manage,
    params: Closed({ domain: Label, serviceAccount: Id, workload: Id }),
    status: 200,
    response: Impact,
  }),
] as const;

/** What the platform lends to domains. */
const lentRoutes = [
  route({
    id: 'showClusterTargetImpact',
    method: 'GET',
    path: '/v1/clusters/{cluster}/targets/{namespace}/impact',
    summary: 'What taking a namespace from its domain would hit: what would run there',
    tag: 'impact',
    access: { kind: 'platform', action: 'cluster.manage' },
    feature: 'secretsV2',
    params: onNamespace,
    status: 200,
    response: Impact,
  }),
  route({
    id: 'showProfileImpact',
    method: 'GET',
    path: '/v1/profiles/{profile}/impact',
    summary: 'What changing or deleting a profile, or lending it to fewer, would hit: all that its integrations hold',
    tag: 'impact',
    access: { kind: 'platform', action: 'profile.manage' },
    feature: 'secretsV2',
    params: onProfile,
    query: Closed({
      change: Type.Optional(
        Type.Enum(['delete', 'edit', 'revoke'], {
          default: 'delete',
          description: 'edit: of its settings or of a prefix. revoke: it is lent to `domains` alone',
        }),
      ),
      domains: Type.Optional(
        Type.String({
          pattern: severalLabels,
          description:
            'With `revoke`: domains that it stays lent to, `global` or `admin`, joined with commas, 200 at most; absent: none',
        }),
      ),
    }),
    status: 200,
    response: Impact,
  }),
] as const;

export const impactRoutes = [
  ...impactRoutesUnder('Admin', '/v1/admin', {}),
  ...impactRoutesUnder('Global', '/v1/global', {}),
  ...impactRoutesUnder('Domain', '/v1/domains/{domain}', { domain: Label }),
  ...assignmentRoutes,
  ...storageRoutes,
  ...revocationRoutes,
  ...bundleImpactRoutes,
  ...identityRoutes,
  ...lentRoutes,
] as const;
