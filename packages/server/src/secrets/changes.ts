import type { Caller, ScopeRef } from '../access/types.ts';
import type { AuditEvent } from '../audit/event.ts';
import type { SecretChanges } from './commands.ts';

/** Metadata as a form sends it; what is absent stays. */
export interface EditableMetadata {
  readonly description?: string;
  readonly folder?: string;
  readonly tags?: string[];
  readonly owner?: string;
  readonly expiresAt?: string | null;
  readonly rotateEveryDays?: number | null;
  readonly destinations?: { scheme: string; host: string; port: number }[] | null;
}

export function toChanges(metadata: EditableMetadata): SecretChanges {
  return {
    ...(metadata.description === undefined ? {} : { description: metadata.description }),
    ...(metadata.folder === undefined ? {} : { folder: metadata.folder }),
    ...(metadata.tags === undefined ? {} : { tags: metadata.tags }),
    ...(metadata.owner === undefined ? {} : { owner: metadata.owner }),
    ...(metadata.expiresAt === undefined
      ? {}
      : { expiresAt: metadata.expiresAt === null ? null : Date.parse(metadata.expiresAt) }),
    ...(metadata.rotateEveryDays === undefined ? {} : { rotateEveryDays: metadata.rotateEveryDays }),
    ...(metadata.destinations === undefined
      ? {}
      : { destinations: metadata.destinations === null ? null : JSON.stringify(metadata.destinations) }),
  };
}

/** The record of a change of a secret. */
export function changeEvent(
  caller: Caller,
  scope: ScopeRef,
  verb: string,
  secret: { readonly id: string; readonly key: string },
  detail: Readonly<Record<string, string | number | boolean | null>> = {},
  because: readonly string[] = [],
): AuditEvent {
  return {
    principal: caller.id,
    principalName: caller.name,
    action: 'secret.manage',
    outcome: 'allowed',
    scope: { id: scope.id, name: scope.name },
    object: { type: 'secret', id: secret.id, name: secret.key },
    requestId: caller.requestId,
    network: caller.network,
    because,
    detail: { change: verb, ...detail },
  };
}
