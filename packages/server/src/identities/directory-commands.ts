import { type LeaseToken, requireLease } from '../store/leases.ts';
import type { CommandContext } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import { identityEvent } from './actor.ts';
import { directoryAuthor, type DirectoryConflict } from './directory-principals.ts';
import { endSessions, insertPrincipal, isAdmin, parseRoles, requireAnAdmin, voidLinks } from './principals.ts';

/** What a sync writes. Each command is one step: a sync that is cut off leaves what it did, and the next goes on. */

const actor = { principal: 'system', principalName: directoryAuthor };

/** Made, changed or come back: what the directory says of one. */
export interface DirectoryEntry {
  /** For one that is new. */
  readonly newId: string;
  readonly kind: 'user' | 'group';
  readonly directoryId: string;
  /** Folded. */
  readonly name: string;
  readonly displayName: string;
  readonly email: string | null;
}

export interface PutEntriesArgs {
  readonly lease: LeaseToken;
  readonly entries: readonly DirectoryEntry[];
}

/** @returns entries whose name another principal has; they are left alone */
async function putEntries(context: CommandContext, args: PutEntriesArgs): Promise<readonly DirectoryConflict[]> {
  await requireLease(context, args.lease);
  const conflicts: DirectoryConflict[] = [];
  let isAuthority = false;
  for (const entry of args.entries) {
    const { kind, name, directoryId } = entry;
    const row = await findEntry(context, kind, directoryId);
    const taken = await findNamed(context, kind, name);
    if (taken !== undefined && taken.id !== row?.id) {
      conflicts.push({ kind, name, reason: 'name-taken' });
      continue;
    }
    if (row === undefined) {
      const { newId: id, displayName, email } = entry;
      const author = directoryAuthor;
      await insertPrincipal(context, { id, kind, name, displayName, email, directoryId, roles: [], createdBy: author });
      context.audit(identityEvent(actor, { type: kind, id, name }, ['create', 'directory']));
      continue;
    }
    isAuthority ||= await changeEntry(context, row, entry);
  }
  if (isAuthority) await context.bumpAuthorisation();
  return conflicts;
}

/** @returns whether it may do things again */
async function changeEntry(
  context: CommandContext,
  row: Tables['principals'],
  entry: DirectoryEntry,
): Promise<boolean> {
  const isBack = row.absent_at !== null;
  await context.db
    .updateTable('principals')
    .set({
      name: entry.name,
      display_name: entry.displayName,
      email: entry.email,
      // What was disabled by hand, at another time, stays so.
      ...(isBack ? { absent_at: null } : {}),
      ...(isBack && row.disabled_at === row.absent_at ? { disabled_at: null } : {}),
      revision: row.revision + 1,
      updated_at: context.now,
    })
    .where('id', '=', row.id)
    .execute();
  const because = ['directory', isBack ? 'enable' : 'change'];
  context.audit(identityEvent(actor, { type: row.kind, id: row.id, name: entry.name }, because));
  return isBack;
}

export interface MarkAbsentArgs {
  readonly lease: LeaseToken;
  readonly kind: 'user' | 'group';
  readonly id: string;
}

/**
 * The directory has it no more: a user is disabled, a group is empty of those whom the directory put there. Nothing is deleted.
 * @throws StrongroomError `last_admin`: nothing is changed
 */
async function markAbsent(context: CommandContext, { lease, kind, id }: MarkAbsentArgs): Promise<void> {
  await requireLease(context, lease);
  await context.bumpAuthorisation();
  const row = await context.db
    .selectFrom('principals')
    .selectAll()
    .where('id', '=', id)
    .where('kind', '=', kind)
    .where('directory_id', 'is not', null)
    .where('absent_at', 'is', null)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  if (row === undefined) return;
  const wasAdmin = kind === 'group' ? parseRoles(row.roles).includes('PLATFORM_ADMIN') : await isAdmin(context, row);
  if (kind === 'group') await emptyGroup(context, row);
  else {
    await endSessions(context, id);
    await voidLinks(context, id);
  }
  await context.db
    .updateTable('principals')
    .set({
      absent_at: context.now,
      // One that was disabled by hand is not the directory's to enable: it stays disabled when it comes back.
      ...(kind === 'user' && row.disabled_at === null ? { disabled_at: context.now } : {}),
      revision: row.revision + 1,
      updated_at: context.now,
    })
    .where('id', '=', id)
    .execute();
  if (wasAdmin) await requireAnAdmin(context);
  context.audit(identityEvent(actor, { type: kind, id, name: row.name }, ['directory', 'disable']));
}

async function emptyGroup(context: CommandContext, group: Tables['principals']): Promise<void> {
  const removed = await context.db
    .deleteFrom('group_members')
    .where('group_id', '=', group.id)
    .where('added_by', '=', directoryAuthor)
    .returning('principal_id')
    .execute();
  if (parseRoles(group.roles).length > 0) for (const { principal_id: id } of removed) await endSessions(context, id);
}

export interface SetMembersArgs {
  readonly lease: LeaseToken;
  readonly groupId: string;
  readonly add: readonly string[];
  readonly remove: readonly string[];
}

/**
 * Who gains or loses roles by it signs in anew.
 * @throws StrongroomError `last_admin`: nothing is changed
 */
async function setMembers(context: CommandContext, args: SetMembersArgs): Promise<void> {
  await requireLease(context, args.lease);
  await context.bumpAuthorisation();
  const group = await context.db
    .selectFrom('principals')
    .selectAll()
    .where('id', '=', args.groupId)
    .where('kind', '=', 'group')
    .where('directory_id', 'is not', null)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  if (group === undefined) return;
  for (const principalId of args.add)
    await context.db
      .insertInto('group_members')
      .values({ group_id: group.id, principal_id: principalId, added_at: context.now, added_by: directoryAuthor })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  for (const principalId of args.remove)
    await context.db
      .deleteFrom('group_members')
      .where('group_id', '=', group.id)
      .where('principal_id', '=', principalId)
      .where('added_by', '=', directoryAuthor)
      .execute();
  const roles = parseRoles(group.roles);
  if (roles.includes('PLATFORM_ADMIN') && args.remove.length > 0) await requireAnAdmin(context);
  if (roles.length > 0) for (const id of [...args.add, ...args.remove]) await endSessions(context, id);
  const because = ['directory', `added:${args.add.length}`, `removed:${args.remove.length}`];
  context.audit(identityEvent(actor, { type: 'group', id: group.id, name: group.name }, because));
}

async function beginSync(context: CommandContext, { lease }: { readonly lease: LeaseToken }): Promise<void> {
  await requireLease(context, lease);
  const begun = { started_at: context.now, ended_at: null, outcome: 'running', cause: null, message: null } as const;
  await context.db
    .insertInto('directory_syncs')
    .values({ id: 'ldap', ...begun, last_success_at: null, users: 0, groups: 0, changed: 0, conflicts: '[]' })
    .onConflict((conflict) => conflict.column('id').doUpdateSet(begun))
    .execute();
}

/** A sync that failed says nothing about who is there. */
async function endSync(
  context: CommandContext,
  args: { readonly lease: LeaseToken } & (
    | {
        readonly outcome: 'ok';
        readonly users: number;
        readonly groups: number;
        readonly changed: number;
        readonly conflicts: string;
        readonly cause: string | null;
        readonly message: string | null;
      }
    | { readonly outcome: 'failed'; readonly cause: string; readonly message: string }
  ),
): Promise<void> {
  const { lease, ...ended } = args;
  await requireLease(context, lease);
  await context.db
    .updateTable('directory_syncs')
    .set({ ...ended, ended_at: context.now, ...(ended.outcome === 'ok' ? { last_success_at: context.now } : {}) })
    .where('id', '=', 'ldap')
    .execute();
}

async function findEntry(context: CommandContext, kind: DirectoryEntry['kind'], directoryId: string) {
  return context.db
    .selectFrom('principals')
    .selectAll()
    .where('kind', '=', kind)
    .where('directory_id', '=', directoryId)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
}

async function findNamed(context: CommandContext, kind: DirectoryEntry['kind'], name: string) {
  return context.db
    .selectFrom('principals')
    .select('id')
    .where('kind', '=', kind)
    .where('name', '=', name)
    .where('scope_id', 'is', null)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
}

export const directoryCommands = {
  'identities.putDirectoryEntries': putEntries,
  'identities.markDirectoryAbsent': markAbsent,
  'identities.setDirectoryMembers': setMembers,
  'identities.beginDirectorySync': beginSync,
  'identities.endDirectorySync': endSync,
};
