import type { QueryContext } from '../store/store.ts';
import { directoryAuthor, type DirectoryPrincipal } from './directory-principals.ts';
import { type PrincipalRecord, principalRecord } from './principals.ts';
import type { TokenRecord } from './service-account-commands.ts';

/** Position of a keyset list by name. */
export interface NamePosition {
  readonly name: string;
  readonly id: string;
}

export interface ListPrincipalsArgs {
  readonly kind: 'user' | 'group' | 'service-account';
  /** Only service accounts of this domain. */
  readonly scopeId?: string;
  readonly name?: string;
  /** Folded prefix. */
  readonly prefix?: string;
  readonly after?: NamePosition;
  readonly limit: number;
}

async function listPrincipals({ db }: QueryContext, args: ListPrincipalsArgs): Promise<readonly PrincipalRecord[]> {
  let query = db
    .selectFrom('principals')
    .leftJoin('scopes', 'scopes.id', 'principals.scope_id')
    .selectAll('principals')
    .select('scopes.name as domain')
    .where('principals.kind', '=', args.kind)
    .where('principals.deleted_at', 'is', null)
    .orderBy('principals.name')
    .orderBy('principals.id')
    .limit(args.limit);
  if (args.scopeId !== undefined) query = query.where('principals.scope_id', '=', args.scopeId);
  if (args.name !== undefined) query = query.where('principals.name', '=', args.name);
  // Names are ASCII, and DEL comes after all they hold.
  if (args.prefix !== undefined) {
    query = query.where('principals.name', '>=', args.prefix).where('principals.name', '<', `${args.prefix}\x7f`);
  }
  const { after } = args;
  if (after !== undefined) {
    query = query.where((where) =>
      where.or([
        where('principals.name', '>', after.name),
        where.and([where('principals.name', '=', after.name), where('principals.id', '>', after.id)]),
      ]),
    );
  }
  return (await query.execute()).map(principalRecord);
}

export interface MemberRecord {
  readonly id: string;
  readonly kind: 'user' | 'service-account';
  readonly name: string;
  readonly displayName: string;
  readonly addedAt: number;
}

async function listGroupMembers(
  { db }: QueryContext,
  args: {
    readonly groupId: string;
    readonly prefix?: string;
    readonly after?: NamePosition;
    readonly limit: number;
  },
): Promise<readonly MemberRecord[]> {
  let query = db
    .selectFrom('group_members')
    .innerJoin('principals', 'principals.id', 'group_members.principal_id')
    .select([
      'principals.id',
      'principals.kind',
      'principals.name',
      'principals.display_name',
      'group_members.added_at',
    ])
    .where('group_members.group_id', '=', args.groupId)
    .where('principals.deleted_at', 'is', null)
    .orderBy('principals.name')
    .orderBy('principals.id')
    .limit(args.limit);
  if (args.prefix !== undefined) {
    query = query.where('principals.name', '>=', args.prefix).where('principals.name', '<', `${args.prefix}\x7f`);
  }
  const { after } = args;
  if (after !== undefined) {
    query = query.where((where) =>
      where.or([
        where('principals.name', '>', after.name),
        where.and([where('principals.name', '=', after.name), where('principals.id', '>', after.id)]),
      ]),
    );
  }
  const rows = await query.execute();
  return rows.map((row) => ({
    id: row.id,
    kind: row.kind === 'user' ? 'user' : 'service-account',
    name: row.name,
    displayName: row.display_name,
    addedAt: row.added_at,
  }));
}

async function listTokens(
  { db }: QueryContext,
  args: { readonly principalId: string; readonly before: string | null; readonly limit: number },
): Promise<readonly TokenRecord[]> {
  let query = db
    .selectFrom('tokens')
    .select(['id', 'last_four', 'description', 'created_at', 'expires_at', 'last_used_at', 'revoked_at'])
    .where('principal_id', '=', args.principalId)
    .orderBy('id', 'desc')
    .limit(args.limit);
  if (args.before !== null) query = query.where('id', '<', args.before);
  const rows = await query.execute();
  return rows.map((row) => ({
    id: row.id,
    lastFour: row.last_four,
    description: row.description,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    lastUsedAt: row.last_used_at,
    revokedAt: row.revoked_at,
  }));
}

export interface SessionRecord {
  readonly id: string;
  readonly transport: 'cookie' | 'bearer';
  readonly createdAt: number;
  readonly lastSeenAt: number;
  readonly expiresAt: number;
}

async function listLiveSessions(
  { db }: QueryContext,
  args: { readonly principalId: string; readonly now: number; readonly seenSince: number },
): Promise<readonly SessionRecord[]> {
  const rows = await db
    .selectFrom('sessions')
    .select(['id', 'transport', 'created_at', 'last_seen_at', 'expires_at'])
    .where('principal_id', '=', args.principalId)
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', args.now)
    .where('last_seen_at', '>', args.seenSince)
    .orderBy('id', 'desc')
    .limit(200)
    .execute();
  return rows.map((row) => ({
    id: row.id,
    transport: row.transport,
    createdAt: row.created_at,
    lastSeenAt: row.last_seen_at,
    expiresAt: row.expires_at,
  }));
}

export interface OwnPlace {
  readonly groups: readonly { readonly id: string; readonly name: string; readonly displayName: string }[];
  readonly domains: readonly { readonly id: string; readonly name: string; readonly displayName: string }[];
}

/** Names of a principal's groups and of the domains it has a standing in. */
async function ownPlace(
  { db }: QueryContext,
  args: { readonly groupIds: readonly string[]; readonly domainIds: readonly string[]; readonly limit: number },
): Promise<OwnPlace> {
  const groups = await db
    .selectFrom('principals')
    .select(['id', 'name', 'display_name as displayName'])
    .where('id', 'in', args.groupIds.length === 0 ? [''] : args.groupIds)
    .where('kind', '=', 'group')
    .where('deleted_at', 'is', null)
    .orderBy('name')
    .execute();
  const domains = await db
    .selectFrom('scopes')
    .select(['id', 'name', 'display_name as displayName'])
    .where('id', 'in', args.domainIds.length === 0 ? [''] : args.domainIds)
    .where('kind', '=', 'domain')
    .where('deleted_at', 'is', null)
    .orderBy('name')
    .limit(args.limit)
    .execute();
  return { groups, domains };
}

/** Everybody who comes from a directory, deleted ones left out. */
async function listDirectoryPrincipals({ db }: QueryContext): Promise<readonly DirectoryPrincipal[]> {
  const rows = await db
    .selectFrom('principals')
    .select(['id', 'kind', 'name', 'display_name', 'email', 'directory_id', 'absent_at'])
    .where('directory_id', 'is not', null)
    .where('deleted_at', 'is', null)
    .execute();
  return rows.map((row) => ({
    id: row.id,
    kind: row.kind === 'group' ? 'group' : 'user',
    name: row.name,
    displayName: row.display_name,
    email: row.email,
    directoryId: row.directory_id ?? '',
    isAbsent: row.absent_at !== null,
  }));
}

/** Who is in a group because a directory says so. */
async function listDirectoryMembers({
  db,
}: QueryContext): Promise<readonly { readonly groupId: string; readonly principalId: string }[]> {
  const rows = await db
    .selectFrom('group_members')
    .select(['group_id', 'principal_id'])
    .where('added_by', '=', directoryAuthor)
    .execute();
  return rows.map((row) => ({ groupId: row.group_id, principalId: row.principal_id }));
}

export const identityQueries = {
  'identities.listDirectoryPrincipals': listDirectoryPrincipals,
  'identities.listDirectoryMembers': listDirectoryMembers,
  'identities.listPrincipals': listPrincipals,
  'identities.listGroupMembers': listGroupMembers,
  'identities.listTokens': listTokens,
  'identities.listLiveSessions': listLiveSessions,
  'identities.ownPlace': ownPlace,
};
