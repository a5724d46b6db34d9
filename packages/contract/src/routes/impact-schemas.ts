import { Type } from 'typebox';
import { Id, Label, Time } from '../names.ts';
import { domainPermissions } from '../roles.ts';
import { Closed } from '../route.ts';
import { permissionWords } from './access.ts';

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

/** What a member has beside its preset: each is ended by itself. */
const Remains = Closed(
  {
    grants: Type.Array(Closed({ id: Id, permission: Type.Enum([...domainPermissions]) })),
    bundleGrants: Type.Array(
      Closed({
        id: Id,
        bundle: Label,
        assetType: Type.String(),
        permissions: Type.Array(Type.Enum(permissionWords)),
      }),
    ),
    bundles: Type.Array(Label, { description: 'That it owns' }),
  },
  { description: 'Of a member: what it has in the domain beside its preset, and keeps' },
);

/** What a change would hit: what the caller may see by name, of the rest how many. */
export const Impact = Closed({
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
  remains: Type.Optional(Remains),
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
