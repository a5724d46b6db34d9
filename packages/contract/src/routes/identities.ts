import { Type } from 'typebox';
import { Id, Label, Time } from '../names.ts';
import { platformRoles } from '../roles.ts';
import { ActionsField, Closed, Page, pageQuery, route } from '../route.ts';
import { NewPassword } from './auth.ts';

/** A user's name as it may be typed: folded to lower case when it is stored. */
const TypedUserName = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$',
  description: '1–64 letters, digits, `. _ @ -`; kept in lower case; immutable',
  examples: ['ann'],
});
export const DisplayName = Type.String({ maxLength: 200 });
/** Shape only (one @, no blank): whether mail arrives is found out by sending some. */
const Email = Type.String({ pattern: '^[^\\s@]{1,64}@[^\\s@]{1,189}$', maxLength: 254 });
export const Roles = Type.Array(Type.Enum(platformRoles), {
  uniqueItems: true,
  maxItems: platformRoles.length,
  description: 'Own roles, without implied ones',
});
export const Revision = Type.Integer({ description: 'The ETag; send it as If-Match to change only what you read' });
/** Part of a name: a prefix after folding. */
export const listFilter = {
  ...pageQuery,
  name: Type.Optional(Type.String({ maxLength: 64, description: 'Exactly this name' })),
};

const User = Closed({
  id: Id,
  name: Type.String(),
  displayName: Type.String(),
  email: Type.Optional(Type.String()),
  roles: Roles,
  isDisabled: Type.Boolean(),
  hasPassword: Type.Boolean(),
  isFromDirectory: Type.Boolean({ description: 'Synced from the directory; signs in by its bind' }),
  revision: Revision,
  createdAt: Time,
  updatedAt: Time,
  actions: ActionsField,
});

const SignInLink = Closed({
  token: Type.String({ description: 'Shown once' }),
  path: Type.String({
    description: 'Append it to the console’s address: the token is in the fragment, which is never sent to a server',
  }),
  expiresAt: Time,
});

const Group = Closed({
  id: Id,
  name: Type.String(),
  displayName: Type.String(),
  roles: Roles,
  revision: Revision,
  createdAt: Time,
  updatedAt: Time,
  actions: ActionsField,
});

const GroupMember = Closed({
  id: Id,
  kind: Type.Enum(['user', 'service-account']),
  name: Type.String(),
  displayName: Type.String(),
  addedAt: Time,
});

const userParams = Closed({ user: Id });
const groupParams = Closed({ group: Id });
const memberParams = Closed({ group: Id, principal: Id });

const manage = { kind: 'platform', action: 'identity.manage' } as const;
const list = { kind: 'platform', action: 'identity.list' } as const;

export const userRoutes = [
  route({
    id: 'createUser',
    method: 'POST',
    path: '/v1/users',
    summary: 'Create a local user, with a password or a one-time sign-in link',
    tag: 'identities',
    access: manage,
    body: Closed({
      name: TypedUserName,
      displayName: Type.Optional(DisplayName),
      email: Type.Optional(Email),
      roles: Type.Optional(Roles),
      password: Type.Optional(NewPassword),
      signInLink: Type.Optional(Type.Boolean({ description: 'Answer with a one-time link as well' })),
    }),
    status: 201,
    response: Closed({ user: User, signInLink: Type.Optional(SignInLink) }),
    errors: ['already_exists', 'replayed_issue'],
    idempotent: true,
  }),
  route({
    id: 'listUsers',
    method: 'GET',
    path: '/v1/users',
    summary: 'List users by name; q is a prefix of the name',
    tag: 'identities',
    access: list,
    query: Closed(listFilter),
    status: 200,
    response: Page(User),
    errors: ['cursor_invalid'],
  }),
  route({
    id: 'showUser',
    method: 'GET',
    path: '/v1/users/{user}',
    summary: 'Show one user',
    tag: 'identities',
    access: list,
    params: userParams,
    status: 200,
    response: User,
    errors: ['not_found'],
  }),
  route({
    id: 'updateUser',
    method: 'PATCH',
    path: '/v1/users/{user}',
    summary: 'Change display name, email, roles, or disable; a change of roles ends all sessions of the user',
    tag: 'identities',
    access: manage,
    params: userParams,
    body: Closed({
      displayName: Type.Optional(DisplayName),
      email: Type.Optional(Type.Union([Email, Type.Null()])),
      roles: Type.Optional(Roles),
      isDisabled: Type.Optional(Type.Boolean()),
    }),
    status: 200,
    response: User,
    errors: ['not_found', 'last_admin', 'revision_mismatch'],
    ifMatch: true,
  }),
  route({
    id: 'deleteUser',
    method: 'DELETE',
    path: '/v1/users/{user}',
    summary: 'Delete a user: sessions end, memberships and grants go, the name is free again, the id is not',
    tag: 'identities',
    access: manage,
    params: userParams,
    status: 204,
    errors: ['not_found', 'last_admin', 'revision_mismatch'],
    ifMatch: true,
  }),
  route({
    id: 'createSignInLink',
    method: 'POST',
    path: '/v1/users/{user}/sign-in-link',
    summary: 'Make a one-time sign-in link, valid for ten minutes; with resetPassword the password and all sessions go',
    tag: 'identities',
    access: manage,
    params: userParams,
    body: Closed({ resetPassword: Type.Optional(Type.Boolean()) }),
    status: 201,
    response: SignInLink,
    errors: ['not_found', 'state_conflict'],
  }),
  route({
    id: 'revokeUserSessions',
    method: 'DELETE',
    path: '/v1/users/{user}/sessions',
    summary: 'End all sessions of a user and void open sign-in links',
    tag: 'identities',
    access: manage,
    params: userParams,
    status: 204,
    errors: ['not_found'],
  }),
] as const;

export const groupRoutes = [
  route({
    id: 'createGroup',
    method: 'POST',
    path: '/v1/groups',
    summary: 'Create a group, optionally with platform roles',
    tag: 'identities',
    access: manage,
    body: Closed({ name: Label, displayName: Type.Optional(DisplayName), roles: Type.Optional(Roles) }),
    status: 201,
    response: Group,
    errors: ['already_exists'],
    idempotent: true,
  }),
  route({
    id: 'listGroups',
    method: 'GET',
    path: '/v1/groups',
    summary: 'List groups by name; q is a prefix of the name',
    tag: 'identities',
    access: list,
    query: Closed(listFilter),
    status: 200,
    response: Page(Group),
    errors: ['cursor_invalid'],
  }),
  route({
    id: 'showGroup',
    method: 'GET',
    path: '/v1/groups/{group}',
    summary: 'Show one group',
    tag: 'identities',
    access: list,
    params: groupParams,
    status: 200,
    response: Group,
    errors: ['not_found'],
  }),
  route({
    id: 'updateGroup',
    method: 'PATCH',
    path: '/v1/groups/{group}',
    summary: 'Change display name or roles; a change of roles ends all sessions of its members',
    tag: 'identities',
    access: manage,
    params: groupParams,
    body: Closed({ displayName: Type.Optional(DisplayName), roles: Type.Optional(Roles) }),
    status: 200,
    response: Group,
    errors: ['not_found', 'last_admin', 'revision_mismatch'],
    ifMatch: true,
  }),
  route({
    id: 'deleteGroup',
    method: 'DELETE',
    path: '/v1/groups/{group}',
    summary: 'Delete a group, its memberships and its grants',
    tag: 'identities',
    access: manage,
    params: groupParams,
    status: 204,
    errors: ['not_found', 'last_admin', 'revision_mismatch'],
    ifMatch: true,
  }),
  route({
    id: 'listGroupMembers',
    method: 'GET',
    path: '/v1/groups/{group}/members',
    summary: 'List the members of a group by name',
    tag: 'identities',
    access: list,
    params: groupParams,
    query: Closed(pageQuery),
    status: 200,
    response: Page(GroupMember),
    errors: ['not_found', 'cursor_invalid'],
  }),
  route({
    id: 'addGroupMember',
    method: 'PUT',
    path: '/v1/groups/{group}/members/{principal}',
    summary: 'Add a user or a service account of the platform; doing it twice changes nothing',
    tag: 'identities',
    access: manage,
    params: memberParams,
    status: 204,
    errors: ['not_found', 'state_conflict'],
  }),
  route({
    id: 'deleteGroupMember',
    method: 'DELETE',
    path: '/v1/groups/{group}/members/{principal}',
    summary: 'Remove a member',
    tag: 'identities',
    access: manage,
    params: memberParams,
    status: 204,
    errors: ['not_found', 'last_admin'],
  }),
] as const;
