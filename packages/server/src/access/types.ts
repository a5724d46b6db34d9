import type {
  Action,
  AssetType,
  AssetPermission,
  DomainPermission,
  PlatformRole,
  Preset,
  ScopeKind,
  SurfaceName,
} from '@strongroom/contract';
import type { MaybePromise } from '../store/maybe-promise.ts';

/** Words that every folder of the server shares about who asks and about what. */

export interface ScopeRef {
  readonly id: string;
  readonly kind: ScopeKind;
  /** `admin`, `global`, or the domain's name. */
  readonly name: string;
}

/** One asset of a domain, as far as a decision needs it. */
export interface AssetRef {
  readonly type: AssetType | SurfaceName;
  /** Id of the configuration or the secret. */
  readonly id: string;
  readonly name: string;
  /** The domain in which it is used or to which it belongs. */
  readonly scope: ScopeRef;
  /** Bundles that hold it: the explicit one for configurations and integrations; for secrets all whose selectors match. Never empty in a domain: the default bundle has the rest. */
  readonly bundleIds: readonly string[];
  /** For a Global secret or integration: whether it is assigned to `scope`. */
  readonly isAssigned?: boolean;
}

export type Resource =
  | { readonly kind: 'platform' }
  | { readonly kind: 'scope'; readonly scope: ScopeRef }
  | { readonly kind: 'asset'; readonly asset: AssetRef };

/** Everything about one principal that a decision may use, read at one authorisation revision. Plain data. */
export interface AccessSnapshot {
  readonly revision: number;
  readonly principal: {
    readonly id: string;
    readonly kind: 'user' | 'group' | 'service-account';
    readonly isDisabled: boolean;
  };
  /** Roles of its own and of its groups, with implied ones spelt out. */
  readonly roles: ReadonlySet<PlatformRole>;
  /** The principal's id and its groups' ids. */
  readonly actorIds: ReadonlySet<string>;
  /** Standing per domain id; a domain without an entry does not exist for it. */
  readonly domains: ReadonlyMap<string, DomainStanding>;
}

export interface DomainStanding {
  readonly presets: readonly Preset[];
  readonly permissions: ReadonlySet<DomainPermission>;
  /** Grants on bundles of this domain, its own and its groups', by the bundle's id: there may be thousands. */
  readonly bundleGrants: ReadonlyMap<string, readonly BundleGrant[]>;
  readonly defaultBundleId: string;
  /** Bundles it owns (itself or through a group). */
  readonly ownedBundleIds: ReadonlySet<string>;
}

export interface BundleGrant {
  readonly bundleId: string;
  readonly assetType: AssetType;
  readonly permissions: readonly AssetPermission[];
}

/** `because` is short and closed: `role:PLATFORM_ADMIN`, `preset:MEMBER`, `permission:MANAGE_SECRETS`, `bundle:default`, `missing:MANAGE_SECRETS`, `disabled`, `not-assigned`, … */
export interface Decision {
  readonly allow: boolean;
  readonly because: readonly string[];
}

export type Decide = (snapshot: AccessSnapshot, action: Action, resource: Resource) => Decision;

/** Who is calling: made once per request by authentication, handed to every service. */
export interface Caller {
  readonly id: string;
  readonly kind: 'user' | 'service-account';
  /** `user:ann`, `service-account:etl`; what audit records say. */
  readonly name: string;
  readonly snapshot: AccessSnapshot;
  readonly requestId: string;
  /** Address it comes from. */
  readonly network: string;
  /** The session, token or bound workload used, for revocation and audit. */
  readonly credential: { readonly type: 'session' | 'token' | 'workload'; readonly id: string };
}

/**
 * The one check. `access/service.ts` implements it; guards, lists, saves, tests and launches all go through it.
 */
export interface Access {
  /** Reads (or takes from the cache, while the authorisation revision stands) everything a decision about this principal needs. `null`: no such principal. */
  snapshot(principalId: string): MaybePromise<AccessSnapshot | null>;
  decide: Decide;
  /**
   * @throws StrongroomError `not_found` when the caller may not even see the resource, `permission_missing` (naming the
   * permission) when it sees it. Either refusal is audited first.
   */
  require(caller: Caller, action: Action, resource: Resource): Promise<Decision>;
  /** The scope named in a path; `null` when absent, deleted, or not visible to the caller: the same thing to a caller. */
  findScope(snapshot: AccessSnapshot, kind: ScopeKind, name: string): MaybePromise<ScopeRef | null>;
  /** The asset of a secret's use in a domain, with its bundles. `target`: where the secret itself lives. */
  secretAsset(
    domain: ScopeRef,
    target: { readonly scope: 'domain' | 'global'; readonly secretId: string; readonly key: string },
  ): MaybePromise<AssetRef>;
  /** A configuration of the domain, or an integration of any scope, by name, whatever the caller may do with it. */
  configurationAsset(scope: ScopeRef, type: AssetType, name: string): Promise<AssetRef | null>;
}
