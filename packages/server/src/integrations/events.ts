import type { Caller, ScopeRef } from '../access/types.ts';
import type { AuditEvent } from '../audit/event.ts';
import { actorOf } from '../identities/actor.ts';

/** What an integration is to an audit record. */
export interface NamedIntegration {
  readonly id: string;
  readonly name: string;
}

export function integrationEvent(
  caller: Caller,
  scope: ScopeRef,
  action: AuditEvent['action'],
  object: NamedIntegration,
  because: readonly string[],
  detail?: AuditEvent['detail'],
): AuditEvent {
  return {
    ...actorOf(caller),
    action,
    outcome: 'allowed',
    scope: { id: scope.id, name: scope.name },
    object: { type: 'integration', id: object.id, name: object.name },
    because,
    ...(detail === undefined ? {} : { detail }),
  };
}
