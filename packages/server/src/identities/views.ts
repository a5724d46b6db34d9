import { actionsOn } from '../access/refusal.ts';
import type { Caller, ScopeRef } from '../access/types.ts';
import { qualifiedName } from './actor.ts';
import { type SignInLink, tokenPrefixes } from './credentials.ts';
import type { ListPage } from './lists.ts';
import type { PrincipalRecord } from './principals.ts';
import type { MemberRecord, SessionRecord } from './queries.ts';
import type { TokenRecord } from './service-account-commands.ts';

/** How records look outside: times in RFC 3339, nothing that is empty, nothing that is ours alone. */

export function timeText(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

export function pageView<Item, View>(page: ListPage<Item>, view: (item: Item) => View) {
  const items = page.items.map((item) => view(item));
  return page.nextCursor === undefined ? { items } : { items, nextCursor: page.nextCursor };
}

/** The one question about an identity: may the caller manage it? In a domain the right is that domain's. */
function actionsFor(caller: Caller, scope?: ScopeRef) {
  return scope === undefined
    ? actionsOn(caller.snapshot, ['identity.manage'], { kind: 'platform' })
    : actionsOn(caller.snapshot, ['access.manage'], { kind: 'scope', scope });
}

export function userView(caller: Caller, record: PrincipalRecord) {
  return {
    ...groupView(caller, record),
    ...(record.email === null ? {} : { email: record.email }),
    isDisabled: record.isDisabled,
    hasPassword: record.hasPassword,
    isFromDirectory: record.isFromDirectory,
  };
}

export function groupView(caller: Caller, record: PrincipalRecord, scope?: ScopeRef) {
  return {
    id: record.id,
    name: record.name,
    displayName: record.displayName,
    roles: [...record.roles],
    revision: record.revision,
    createdAt: timeText(record.createdAt),
    updatedAt: timeText(record.updatedAt),
    actions: actionsFor(caller, scope),
  };
}

export function serviceAccountView(caller: Caller, record: PrincipalRecord, scope?: ScopeRef) {
  return {
    ...groupView(caller, record, scope),
    ...(record.domain === null ? {} : { domain: record.domain }),
    isDisabled: record.isDisabled,
  };
}

export function memberView(record: MemberRecord) {
  return {
    id: record.id,
    kind: record.kind,
    name: record.name,
    displayName: record.displayName,
    addedAt: timeText(record.addedAt),
  };
}

export function tokenView(record: TokenRecord) {
  return {
    id: record.id,
    prefix: tokenPrefixes.token,
    lastFour: record.lastFour,
    description: record.description,
    createdAt: timeText(record.createdAt),
    expiresAt: record.expiresAt === null ? null : timeText(record.expiresAt),
    ...(record.lastUsedAt === null ? {} : { lastUsedAt: timeText(record.lastUsedAt) }),
    ...(record.revokedAt === null ? {} : { revokedAt: timeText(record.revokedAt) }),
  };
}

export function sessionView(record: SessionRecord, currentId: string) {
  return {
    id: record.id,
    transport: record.transport,
    createdAt: timeText(record.createdAt),
    lastSeenAt: timeText(record.lastSeenAt),
    expiresAt: timeText(record.expiresAt),
    isCurrent: record.id === currentId,
  };
}

export function linkView(link: SignInLink) {
  return { token: link.token, path: link.path, expiresAt: timeText(link.expiresAt) };
}

export function principalView(record: PrincipalRecord) {
  return {
    id: record.id,
    kind: record.kind === 'user' ? ('user' as const) : ('service-account' as const),
    name: qualifiedName(record),
    displayName: record.displayName,
  };
}
