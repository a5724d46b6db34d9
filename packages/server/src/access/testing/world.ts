import {
  actionTable,
  assetPermissions,
  domainPermissions,
  isAction,
  platformRoles,
  presets,
  type Action,
  type AssetPermission,
  type AssetType,
  type DomainPermission,
  type PlatformRole,
  type Preset,
} from '@strongroom/contract';
import * as fc from 'fast-check';

/** A small installation as its rows: what both sides of the comparison are made from. Small, so that a disagreement reads. */
export interface World {
  readonly principal: {
    readonly kind: 'user' | 'service-account';
    readonly isDisabled: boolean;
    readonly roles: readonly PlatformRole[];
  };
  readonly groups: readonly {
    readonly id: string;
    readonly isMember: boolean;
    readonly isDisabled: boolean;
    readonly roles: readonly PlatformRole[];
  }[];
  readonly members: readonly { readonly domain: string; readonly actor: string; readonly preset: Preset }[];
  readonly grants: readonly {
    readonly domain: string;
    readonly actor: string;
    readonly permission: DomainPermission;
  }[];
  readonly owners: readonly { readonly bundle: string; readonly actor: string }[];
  readonly bundleGrants: readonly {
    readonly bundle: string;
    readonly actor: string;
    readonly type: AssetType;
    readonly permissions: readonly AssetPermission[];
  }[];
  readonly selectors: readonly {
    readonly bundle: string;
    readonly scope: 'domain' | 'global';
    readonly text: string;
    readonly isPrefix: boolean;
  }[];
  /** Domains the Global secret is assigned to; empty: all. */
  readonly assignments: readonly string[];
  /** Domains the Global integration is assigned to; empty: none. */
  readonly integrationAssignments: readonly string[];
}

export interface Question {
  readonly action: Action;
  readonly about:
    | { readonly kind: 'platform' }
    | { readonly kind: 'scope'; readonly scope: string }
    | { readonly kind: 'secret'; readonly scope: string; readonly lives: 'domain' | 'global'; readonly key: string }
    | { readonly kind: 'global-integration'; readonly scope: string }
    | { readonly kind: 'configuration'; readonly scope: string; readonly type: AssetType; readonly bundle: string };
}

export const principalId = 'p';
const domainIds = ['dom_a', 'dom_b'] as const;
/** Bundles of each domain, the default one first. */
export const bundlesOf: Readonly<Record<string, readonly string[]>> = {
  dom_a: ['bnd_a', 'a1', 'a2'],
  dom_b: ['bnd_b', 'b1'],
};
export const domainOfBundle = new Map(
  Object.entries(bundlesOf).flatMap(([domain, bundles]) => bundles.map((bundle) => [bundle, domain] as const)),
);

const keys = ['app', 'app-db', 'APP-db2', 'constructor', 'web'] as const;
const selectorTexts = ['', 'app', 'app', 'app-', 'App-DB', 'constructor', 'w', 'tostring'] as const;

const anyDomain = fc.constantFrom(...domainIds);
// Mostly the principal and its possible groups, now and then a stranger.
const anyActor = fc.constantFrom(principalId, principalId, 'g0', 'g1', 'stranger');
const anyBundle = fc.constantFrom(...domainOfBundle.keys());
// Mostly two bundles of one domain, so that many secrets are in both.
const anySelecting = fc.constantFrom('a1', 'a2', 'a1', 'a2', ...domainOfBundle.keys());
const anyRoles = fc.oneof(
  { weight: 5, arbitrary: fc.constant<PlatformRole[]>([]) },
  { weight: 1, arbitrary: fc.subarray([...platformRoles]) },
);
/** Mostly the one that no preset and no role has: without it the action that needs it would hardly ever be allowed. */
const anyPermission = fc.constantFrom(...domainPermissions, ...Array<DomainPermission>(4).fill('RESOLVE'));
const anyAssetType = fc.constantFrom(...(Object.keys(assetPermissions) as AssetType[]));

export const anyWorld: fc.Arbitrary<World> = fc.record({
  principal: fc.record({
    kind: fc.constantFrom('user', 'service-account'),
    isDisabled: fc.oneof({ weight: 19, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
    roles: anyRoles,
  }),
  groups: fc.tuple(
    ...['g0', 'g1'].map((id) =>
      fc.record({
        id: fc.constant(id),
        isMember: fc.boolean(),
        isDisabled: fc.constantFrom(false, false, false, true),
        roles: anyRoles,
      }),
    ),
  ),
  members: fc.array(fc.record({ domain: anyDomain, actor: anyActor, preset: fc.constantFrom(...presets) }), {
    maxLength: 3,
  }),
  grants: fc.array(fc.record({ domain: anyDomain, actor: anyActor, permission: anyPermission }), { maxLength: 3 }),
  owners: fc.uniqueArray(fc.record({ bundle: fc.constantFrom('a1', 'a2', 'b1'), actor: anyActor }), {
    maxLength: 2,
    selector: (owner) => owner.bundle,
  }),
  bundleGrants: fc.array(
    anyAssetType.chain((type) =>
      fc.record({
        bundle: anyBundle,
        actor: anyActor,
        type: fc.constant(type),
        permissions: fc.subarray<AssetPermission>([...assetPermissions[type]], { minLength: 1 }),
      }),
    ),
    { maxLength: 4 },
  ),
  selectors: fc.array(
    fc.record({
      bundle: anySelecting,
      scope: fc.constantFrom('domain', 'domain', 'global'),
      text: fc.constantFrom(...selectorTexts),
      isPrefix: fc.constantFrom(true, true, false),
    }),
    { maxLength: 5 },
  ),
  assignments: fc.constantFrom<readonly string[]>([], [], ['dom_a'], ['dom_b'], ['dom_a', 'dom_b']),
  integrationAssignments: fc.constantFrom<readonly string[]>([], ['dom_a'], ['dom_b'], ['dom_a', 'dom_b']),
});

const anyScope = fc.constantFrom('dom_a', 'dom_a', 'dom_a', 'dom_b', 'dom_admin', 'dom_global');

const actions = Object.keys(actionTable).filter(isAction);
/** One question in seven is about using a secret: it has the most rules. Some more are about what is allowed the least. */
const anyAction = fc.constantFrom(
  ...actions,
  ...Array<Action>(10).fill('secret.use'),
  ...Array<Action>(4).fill('launch.create'),
);

export const anyQuestion: fc.Arbitrary<Question> = anyAction.chain((action) => {
  const row = actionTable[action];
  if (row.on === 'platform') return fc.constant({ action, about: { kind: 'platform' as const } });
  if (row.on === 'scope') return anyScope.map((scope) => ({ action, about: { kind: 'scope' as const, scope } }));
  const about: fc.Arbitrary<Question['about']> =
    row.type === 'secret'
      ? fc.record({
          kind: fc.constant('secret' as const),
          scope: anyScope,
          lives: fc.constantFrom('domain', 'global'),
          key: fc.constantFrom(...keys),
        })
      : anyScope.chain((scope) =>
          fc.record({
            kind: fc.constant('configuration' as const),
            scope: fc.constant(scope),
            type: fc.constant(row.type),
            bundle: fc.constantFrom(...(bundlesOf[scope] ?? [''])),
          }),
        );
  const globalIntegration = anyScope.map((scope) => ({ kind: 'global-integration' as const, scope }));
  return (row.type === 'integration' ? fc.oneof(about, globalIntegration) : about).map((subject) => ({
    action,
    about: subject,
  }));
});
