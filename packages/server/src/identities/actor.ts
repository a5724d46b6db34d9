import type { Caller } from '../access/types.ts';
import type { AuditEvent } from '../audit/event.ts';

/** Who does something, as a command's plain arguments and audit records carry it. */
export interface Actor {
  readonly principal: string;
  readonly principalName: string;
  readonly requestId?: string;
  readonly network?: string;
}

/** The server itself: first start, upkeep. */
export const systemActor: Actor = { principal: 'system', principalName: 'system' };
/** Somebody with a shell on the server's machine. */
export const operatorActor: Actor = { principal: 'system', principalName: 'system:operator' };

export function actorOf(caller: Caller): Actor {
  return { principal: caller.id, principalName: caller.name, requestId: caller.requestId, network: caller.network };
}

export interface PrincipalName {
  readonly kind: 'user' | 'group' | 'service-account';
  readonly name: string;
  /** The domain of a service account that belongs to one. */
  readonly domain: string | null;
}

/** `user:ann`, `group:analysts`, `service-account:etl`, `service-account:finance/etl`. */
export function principalLabel(principal: PrincipalName): string {
  return `${principal.kind}:${qualifiedName(principal)}`;
}

/** `ann`; of a domain's service account `finance/etl`. */
export function qualifiedName(principal: PrincipalName): string {
  return principal.domain === null ? principal.name : `${principal.domain}/${principal.name}`;
}

/** The record of a change to an identity; `because` names what was done or which fields changed. */
export function identityEvent(
  actor: Actor,
  object: { readonly type: string; readonly id: string; readonly name: string },
  because: readonly string[],
  scope?: { readonly id: string; readonly name: string },
): AuditEvent {
  return {
    ...actor,
    action: scope === undefined ? 'identity.manage' : 'access.manage',
    outcome: 'allowed',
    object,
    because,
    ...(scope === undefined ? {} : { scope }),
  };
}
