import { StrongroomError } from '@strongroom/contract/core';
import type { AuditEvent } from '../audit/event.ts';
import type { Actor } from '../identities/actor.ts';
import type { CommandContext } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import type { NamedPrincipal } from './principal-names.ts';

/** What every command about access in a domain is told. */
export interface DomainChange {
  readonly actor: Actor;
  readonly scope: { readonly id: string; readonly name: string };
}

/** Who added something, as answers show it. */
export interface Added {
  readonly createdAt: number;
  readonly createdBy: string;
}

/** Read in the command: the domain may be gone since the route was decided. @throws StrongroomError `not_found` */
export async function requireDomain(context: CommandContext, scopeId: string): Promise<Tables['scopes']> {
  const scope = await context.db
    .selectFrom('scopes')
    .selectAll()
    .where('id', '=', scopeId)
    .where('kind', '=', 'domain')
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  if (scope === undefined) throw new StrongroomError('not_found');
  return scope;
}

/** A principal may be deleted since its name was looked up. @throws StrongroomError `version_conflict` */
export async function requireLive(context: CommandContext, principal: NamedPrincipal): Promise<void> {
  const row = await context.db
    .selectFrom('principals')
    .select('id')
    .where('id', '=', principal.id)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  if (row === undefined) throw new StrongroomError('version_conflict');
}

/** The record of a change of access; `because` says what was done to what. */
export function accessEvent(
  change: DomainChange,
  object: { readonly type: string; readonly id: string; readonly name: string },
  because: readonly string[],
  detail?: AuditEvent['detail'],
): AuditEvent {
  return {
    ...change.actor,
    action: 'access.manage',
    outcome: 'allowed',
    scope: change.scope,
    object,
    because,
    ...(detail === undefined ? {} : { detail }),
  };
}

export function principalObject(principal: NamedPrincipal): {
  readonly type: string;
  readonly id: string;
  readonly name: string;
} {
  return { type: principal.kind, id: principal.id, name: principal.label };
}
