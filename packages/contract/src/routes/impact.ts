import { type TProperties, Type } from 'typebox';
import { Id, IntegrationName, Label, SecretKey, Time } from '../names.ts';
import { presets } from '../roles.ts';
import { Closed, route } from '../route.ts';
import { PrincipalName } from './access.ts';

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

/** What a change would hit: what the caller may see by name, of the rest how many. */
const Impact = Closed({
  change: Type.Enum(['delete', 'rotate', 'edit', 'revoke']),
  effect: Type.Enum(['launches-fail', 'launches-may-fail', 'workloads-outdated'], {
    description:
      'launches-fail: the next launch of what is named fails. launches-may-fail: it does unless the change leads to the same keys. workloads-outdated: what runs keeps the old value until it is started anew',
  }),
  configurations: Type.Array(HitConfiguration),
  workloads: Type.Array(HitWorkload, { description: 'Running, with what they got; they keep it' }),
  platform: Type.Array(HitPlatform, { description: 'What else holds a reference' }),
  domains: Type.Array(Closed({ domain: Type.String(), configurations: Count, workloads: Count })),
  hidden: Closed(
    { configurations: Count, workloads: Count, platform: Count },
    { description: 'How many more there are that the caller may not see' },
  ),
  isComplete: Type.Boolean({ description: 'false: there is more than one answer tells' }),
});

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

const manage = { kind: 'scope', action: 'access.manage' } as const;

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
    // As with taking it back: the bundle’s owner may ask, too.
    access: { kind: 'scope', action: 'access.view' },
    params: Closed({ domain: Label, bundle: Label, grant: Id }),
    status: 200,
    response: Impact,
  }),
] as const;

export const impactRoutes = [
  ...impactRoutesUnder('Admin', '/v1/admin', {}),
  ...impactRoutesUnder('Global', '/v1/global', {}),
  ...impactRoutesUnder('Domain', '/v1/domains/{domain}', { domain: Label }),
  ...revocationRoutes,
] as const;
