import type { StoreName } from '@strongroom/contract';
import type { AuditEvent } from '../audit/event.ts';

/** The record of a choice. */
export function choiceEvent(
  actor: Pick<AuditEvent, 'principal' | 'principalName' | 'requestId' | 'network'>,
  scope: { readonly id: string; readonly name: string },
  store: StoreName,
): AuditEvent {
  return {
    ...actor,
    action: 'settings.manage',
    outcome: 'allowed',
    scope,
    object: { type: 'managed-store', id: scope.id, name: scope.name },
    because: ['store'],
    detail: { store },
  };
}
