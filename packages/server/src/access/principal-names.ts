import { StrongroomError } from '@strongroom/contract';
import type { Kysely } from 'kysely';
import { principalLabel, type PrincipalName } from '../identities/actor.ts';
import type { Tables } from '../store/tables.ts';

/** A principal as members, grants and bundles name it. */
export interface NamedPrincipal {
  readonly id: string;
  readonly kind: PrincipalName['kind'];
  /** `user:ann`, `group:analysts`, `service-account:etl`, `service-account:finance/etl`. */
  readonly label: string;
  readonly displayName: string;
}

const labelPattern = /^(user|group|service-account):([A-Za-z0-9][A-Za-z0-9._@/-]{0,127})$/;

/** The parts of a label, folded to lower case; `null` for what can't be one. The check comes before folding. */
export function parsePrincipalLabel(text: string): PrincipalName | null {
  const match = labelPattern.exec(text);
  const [, kind, typed] = match ?? [];
  if (typed === undefined || (kind !== 'user' && kind !== 'group' && kind !== 'service-account')) return null;
  const name = typed.toLowerCase();
  const slash = name.indexOf('/');
  if (slash === -1) return { kind, name, domain: null };
  const rest = name.slice(slash + 1);
  return kind !== 'service-account' || rest === '' || rest.includes('/')
    ? null
    : { kind, name: rest, domain: name.slice(0, slash) };
}

/**
 * The principal a label means in a domain. A service account without a domain is the platform's; if there is none of that
 * name, this domain's own. Service accounts of other domains don't exist here.
 */
export async function findPrincipal(
  db: Kysely<Tables>,
  scope: { readonly id: string; readonly name: string },
  label: string,
): Promise<NamedPrincipal | null> {
  const parsed = parsePrincipalLabel(label);
  if (parsed === null || (parsed.domain !== null && parsed.domain !== scope.name)) return null;
  const rows = await db
    .selectFrom('principals')
    .select(['id', 'kind', 'name', 'scope_id', 'display_name'])
    .where('kind', '=', parsed.kind)
    .where('name', '=', parsed.name)
    .where('deleted_at', 'is', null)
    .where((where) => where.or([where('scope_id', 'is', null), where('scope_id', '=', scope.id)]))
    .execute();
  const platforms = rows.find((row) => row.scope_id === null);
  const own = rows.find((row) => row.scope_id !== null);
  const row = parsed.domain === null ? (platforms ?? own) : own;
  if (row === undefined) return null;
  const domain = row.scope_id === null ? null : scope.name;
  return {
    id: row.id,
    kind: row.kind,
    label: principalLabel({ kind: row.kind, name: row.name, domain }),
    displayName: row.display_name,
  };
}

/** @throws StrongroomError `validation_failed` naming the field when there is no such principal */
export async function requireNamedPrincipal(
  db: Kysely<Tables>,
  scope: { readonly id: string; readonly name: string },
  label: string,
  pointer: string,
): Promise<NamedPrincipal> {
  const principal = await findPrincipal(db, scope, label);
  if (principal !== null) return principal;
  throw new StrongroomError('validation_failed', {
    errors: [{ pointer, message: 'There is no such principal, or it belongs to another domain.' }],
  });
}

/** The label of a principal, also of one that is gone; `undefined` for what never was one. */
export async function namePrincipal(db: Kysely<Tables>, id: string): Promise<string | undefined> {
  const row = await db
    .selectFrom('principals')
    .leftJoin('scopes', 'scopes.id', 'principals.scope_id')
    .select(['principals.kind', 'principals.name', 'scopes.name as domain'])
    .where('principals.id', '=', id)
    .executeTakeFirst();
  return row === undefined ? undefined : principalLabel(row);
}
