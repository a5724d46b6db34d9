import { type TProperties, Type } from 'typebox';
import { Id, IntegrationName, Label, SecretKey, Time } from '../names.ts';
import { presets } from '../roles.ts';
import { Closed, route } from '../route.ts';
import { AssetToAdd, PrincipalName } from './access.ts';

const HitField = Closed({
  pointer: Type.String({ description: 'RFC 6901 pointer of the field' }),
  name: Type.String({ description: 'The variable or property' }),
  reference: Type.String(),
  kind: Type.Enum(['reference', 'placeholder']),
});

const HitConfiguration = Closed({
  domain: Type.String({ description: 'admin: a configuration of the platform' }),
  surface: Type.String(),
  configuration: Type.String(),
  suspended: Type.Boolean(),
  fields: Type.Array(HitField),
  via: Type.Optional(
    Type.Array(Type.String(), {
      description: 'What it uses that is hit, SURFACE/NAME, where that is why it is hit itself',
    }),
  ),
  losses: Type.Optional(
    Type.Array(Closed({ principal: Type.String(), permission: Type.String(), on: Type.String() }), {
      description: 'Of a change of access: who loses what that it needs',
    }),
  ),
  running: Type.Integer({ description: 'Launches of it that have not ended' }),
});

const HitWorkload = Closed({
  launch: Id,
  kind: Type.Enum(['run', 'workload']),
  state: Type.Enum(['running', 'unknown'], { description: 'unknown: its lease lapsed' }),
  domain: Type.String(),
  surface: Type.Optional(Type.String()),
  configuration: Type.Optional(Type.String()),
  subject: Type.String(),
  names: Type.Array(Type.String(), { description: 'The variables that hold it' }),
  startedAt: Time,
});

const HitPlatform = Closed({
  kind: Type.Enum(['cluster', 'notices']),
  name: Type.String({ description: 'Of the cluster; of the scope whose notices they are' }),
  pointer: Type.String(),
  reference: Type.String(),
});

const Count = Type.Integer({ minimum: 0 });

const HitLauncher = Closed({
  principal: Type.String(),
  domain: Type.String(),
  launches: Type.Integer({ minimum: 1, description: 'In the last 30 days, of no configuration' }),
  lastAt: Time,
});

/** What a change would hit: what the caller may see by name, of the rest how many. */
const Impact = Closed({
  change: Type.Enum(['delete', 'rotate', 'edit', 'revoke', 'disable', 'remove', 'move']),
  effect: Type.Enum(['launches-fail', 'launches-may-fail', 'workloads-outdated'], {
    description:
      'launches-fail: the next launch of what is named fails. launches-may-fail: it does unless the change leads to the same keys. workloads-outdated: what runs keeps the old value until it is started anew',
  }),
  configurations: Type.Array(HitConfiguration),
  workloads: Type.Array(HitWorkload, { description: 'Running, with what they got; they keep it' }),
  platform: Type.Array(HitPlatform, { description: 'What else holds a reference' }),
  launchers: Type.Optional(
    Type.Array(HitLauncher, { description: 'Of a change of access: who gets values itself, and would get none' }),
  ),
  recipients: Type.Optional(
    Type.Array(Closed({ scope: Type.String(), address: Type.String() }), {
      description: 'Of a user: notices that go to its mail address, and go on doing so',
    }),
  ),
  contents: Type.Optional(
    Closed(
      { secrets: Count, integrations: Count, serviceAccounts: Count },
      { description: 'Of a domain: what else goes with it' },
    ),
  ),
  refusal: Type.Optional(
    Closed(
      { code: Type.String(), detail: Type.String() },
      { description: 'The change would be refused as things are, even if forced' },
    ),
  ),
  domains: Type.Array(Closed({ domain: Type.String(), configurations: Count, workloads: Count })),
  hidden: Closed(
    { configurations: Count, workloads: Count, platform: Count, launchers: Count },
    { description: 'How many more there are that the caller may not see' },
  ),
  isComplete: Type.Boolean({ description: 'false: there is more than one answer tells' }),
});

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
    summary: 'What taking a grant on a bundle back would hit',
    tag: 'impact',
    // As with taking it back: the bundle’s owner may ask, too, and the service decides with the bundle at hand.
    access: view,
    params: Closed({ domain: Label, bundle: Label, grant: Id }),
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
    summary: 'What deleting a bundle would hit: its grants end, its assets fall back to `default`. The bundle’s owner',
    tag: 'impact',
    access: view,
    params: Closed({ domain: Label, bundle: Label }),
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

/** What ends or weakens somebody: told with the refusal that the last administrator would meet. */
const identityRoutes = [
  route({
    id: 'showUserImpact',
    method: 'GET',
    path: '/v1/users/{user}/impact',
    summary: 'What deleting or disabling a user would hit',
    tag: 'impact',
    access: manageIdentities,
    params: Closed({ user: Id }),
    query: end,
    status: 200,
    response: Impact,
  }),
  route({
    id: 'showGroupImpact',
    method: 'GET',
    path: '/v1/groups/{group}/impact',
    summary: 'What deleting a group would hit: what its members have by it alone',
    tag: 'impact',
    access: manageIdentities,
    params: Closed({ group: Id }),
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
    summary: 'What deleting or disabling a service account would hit',
    tag: 'impact',
    access: manageIdentities,
    params: Closed({ serviceAccount: Id }),
    query: end,
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
] as const;

export const impactRoutes = [
  ...impactRoutesUnder('Admin', '/v1/admin', {}),
  ...impactRoutesUnder('Global', '/v1/global', {}),
  ...impactRoutesUnder('Domain', '/v1/domains/{domain}', { domain: Label }),
  ...revocationRoutes,
  ...bundleImpactRoutes,
  ...identityRoutes,
] as const;
