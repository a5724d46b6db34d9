import {
  type Action,
  type AssetAction,
  actionTable,
  type AssetType,
  type RouteDeclaration,
  type ScopeKind,
  StrongroomError,
} from '@strongroom/contract';
import type { FastifyRequest } from 'fastify';
import type { AccessService } from '../access/service.ts';
import type { AssetRef, Caller, Decision, Resource } from '../access/types.ts';
import { networkOf } from '../identities/network.ts';
import { andThen, type MaybePromise } from '../store/maybe-promise.ts';
import { type Authentication, type AuthenticationContext, readCredential } from './authentication.ts';
import type { HostList } from './hosts.ts';
import type { RateLimit } from './rate-limit.ts';
import type { RouteRequest } from './route-request.ts';

export interface GuardParts {
  readonly authentication: Authentication;
  readonly access: Pick<AccessService, 'decide' | 'findScope' | 'configurationAsset' | 'require' | 'refuseAbsent'>;
  readonly features: { isEnabled(name: NonNullable<RouteDeclaration['feature']>): MaybePromise<boolean> };
  readonly hosts: HostList;
  /** Of callers and domains. */
  readonly rateLimit: RateLimit;
  /** Of networks that nobody is known in: however many of them there are, they are in no caller's way. */
  readonly networkRateLimit: RateLimit;
  readonly limits: {
    readonly requestsPerMinute: number;
    readonly anonymousRequestsPerMinute: number;
    readonly launchesPerMinute: number;
  };
  readonly cookieName: string;
}

export interface Guard {
  /** Decides before anything of the body is read whether a request goes on: nobody learns from a body's errors what exists. */
  admit(request: FastifyRequest, routeRequest: RouteRequest): MaybePromise<void>;
  /** Who the caller is and what it may, once more, for a request whose body took its time; nothing is counted again. */
  admitAgain(request: FastifyRequest, routeRequest: RouteRequest): MaybePromise<void>;
}

const authenticatedDecision: Decision = { allow: true, because: ['authenticated'] };

/** Makes the guard of one route; what depends on the declaration alone is found out once. */
export function createGuard(route: RouteDeclaration, parts: GuardParts): Guard {
  const { authentication, access, features, hosts, rateLimit, networkRateLimit, limits, cookieName } = parts;
  const scopePlace = route.access.kind === 'scope' || route.access.kind === 'asset' ? scopeOfPath(route) : undefined;
  const assetType = route.access.kind === 'asset' ? assetTypeOf(route) : undefined;

  const count = (limit: RateLimit, key: string, perMinute: number): void => {
    if (route.rateLimitPerMinute === Infinity) return;
    limit.count(key, perMinute);
    if (route.rateLimitPerMinute !== undefined) limit.count(`${route.id} ${key}`, route.rateLimitPerMinute);
  };

  const authenticate = (request: FastifyRequest): MaybePromise<Caller> => {
    const context = { requestId: request.id, network: request.ip };
    const refused = (error: unknown): never => {
      networkRateLimit.count(networkOf(context.network), limits.anonymousRequestsPerMinute);
      throw error;
    };
    try {
      const caller = callerOf(request, context);
      return caller instanceof Promise ? caller.catch(refused) : caller;
    } catch (error) {
      return refused(error);
    }
  };

  const callerOf = (request: FastifyRequest, context: AuthenticationContext): MaybePromise<Caller> => {
    const credential = readCredential(request.headers, cookieName);
    if (credential.type === 'bearer') return authentication.byBearer(credential.token, context);
    // The browser adds the cookie whoever's page makes the call.
    if (!hosts.isSameOrigin(request.headers)) throw new StrongroomError('csrf_failed');
    return authentication.byCookie(credential.cookie, credential.tabToken, context);
  };

  const findAsset = async (
    request: FastifyRequest,
    caller: Caller,
    action: AssetAction,
    name: string,
  ): Promise<AssetRef> => {
    const place = scopePlace?.name ?? parameter(request, 'domain');
    const scope = await access.findScope(caller.snapshot, scopePlace?.kind ?? 'domain', place);
    if (scope === null) return access.refuseAbsent(caller, action, place);
    const asset = assetType === undefined ? null : await access.configurationAsset(scope, assetType, name);
    if (asset === null) throw new StrongroomError('not_found');
    return asset;
  };

  /** A refusal is recorded before it is answered; what is allowed needs no waiting. */
  const decided = (caller: Caller, action: Action, resource: Resource): MaybePromise<Decision> => {
    const decision = access.decide(caller.snapshot, action, resource);
    return decision.allow ? decision : access.require(caller, action, resource);
  };

  const admit = (request: FastifyRequest, routeRequest: RouteRequest, caller: Caller): MaybePromise<void> => {
    const { access: declared } = route;
    switch (declared.kind) {
      case 'platform':
        return andThen(decided(caller, declared.action, { kind: 'platform' }), (decision) => {
          routeRequest.admitted = { caller, decision };
        });
      case 'scope': {
        const name = scopePlace?.name ?? parameter(request, 'domain');
        return andThen(access.findScope(caller.snapshot, scopePlace?.kind ?? 'domain', name), (scope) => {
          if (scope === null) return access.refuseAbsent(caller, declared.action, name);
          return andThen(decided(caller, declared.action, { kind: 'scope', scope }), (decision) => {
            routeRequest.admitted = { caller, decision, scope };
          });
        });
      }
      case 'asset':
        return admitToAsset(request, routeRequest, caller, declared);
      case 'public':
      case 'authenticated':
        return undefined;
    }
  };

  const admitToAsset = async (
    request: FastifyRequest,
    routeRequest: RouteRequest,
    caller: Caller,
    { action, parameter: name }: Extract<RouteDeclaration['access'], { readonly kind: 'asset' }>,
  ): Promise<void> => {
    const asset = await findAsset(request, caller, action, parameter(request, name));
    const decision = await decided(caller, action, { kind: 'asset', asset });
    routeRequest.admitted = { caller, decision, scope: asset.scope, asset };
  };

  const requireFeature = (): MaybePromise<void> => {
    if (route.feature === undefined) return undefined;
    return andThen(features.isEnabled(route.feature), (isEnabled) => {
      if (!isEnabled) throw new StrongroomError('feature_disabled');
    });
  };

  const decide = (request: FastifyRequest, routeRequest: RouteRequest, caller: Caller): MaybePromise<void> => {
    if (route.access.kind !== 'authenticated') return admit(request, routeRequest, caller);
    routeRequest.admitted = { caller, decision: authenticatedDecision };
    return undefined;
  };

  return {
    admit(request, routeRequest) {
      if (route.access.kind === 'public') {
        if (route.method !== 'GET' && !hosts.isSameOrigin(request.headers)) throw new StrongroomError('csrf_failed');
        count(networkRateLimit, networkOf(request.ip), limits.anonymousRequestsPerMinute);
        return undefined;
      }
      return andThen(authenticate(request), (caller) => {
        count(rateLimit, caller.id, limits.requestsPerMinute);
        return andThen(decide(request, routeRequest, caller), () => {
          if (route.isLaunch === true)
            rateLimit.count(`launches ${routeRequest.scope.id}`, limits.launchesPerMinute, 'launches of this domain');
          return requireFeature();
        });
      });
    },
    admitAgain(request, routeRequest) {
      if (route.access.kind === 'public') return undefined;
      return andThen(authenticate(request), (caller) => decide(request, routeRequest, caller));
    },
  };
}

/** A parameter of the path, decoded; the schema has not seen it yet. */
function parameter(request: FastifyRequest, name: string): string {
  return (request.params as Readonly<Record<string, string | undefined>>)[name] ?? '';
}

/**
 * The scope a path is about: fixed for the installation's own, `undefined` when it is the domain named by `{domain}`.
 *
 * @throws TypeError when the path names none: nothing could be decided
 */
export function scopeOfPath(route: RouteDeclaration): { readonly kind: ScopeKind; readonly name: string } | undefined {
  const [, , first, second] = route.path.split('/');
  if (first === 'admin' || first === 'global') return { kind: first, name: first };
  if (first === 'platform') return { kind: 'admin', name: 'admin' };
  if (first === 'domains' && second === '{domain}') return undefined;
  throw new TypeError(`${route.id}: no scope in ${route.path}`);
}

/** @throws TypeError for what isn't a configuration of a domain: a secret's uses are decided where its id is known */
function assetTypeOf(route: RouteDeclaration): Exclude<AssetType, 'secret'> {
  if (route.access.kind !== 'asset') throw new TypeError(`${route.id} is not about one asset`);
  const type: AssetType = actionTable[route.access.action].type;
  if (type === 'secret') throw new TypeError(`${route.id}: the use of a secret is not a route's own action`);
  if (!route.path.includes(`{${route.access.parameter}}`))
    throw new TypeError(`${route.id}: no {${route.access.parameter}} in ${route.path}`);
  return type;
}
