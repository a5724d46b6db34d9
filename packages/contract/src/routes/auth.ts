import { Type } from 'typebox';
import { Id, Time } from '../names.ts';
import { domainPermissions, platformRoles, presets } from '../roles.ts';
import { Closed, route } from '../route.ts';

/**
 * How a session travels.
 *
 * - `bearer`: the command line. The session token is in the answer, once, and goes into `Authorization: Bearer`.
 * - `cookie`: the console. The session token is in an HttpOnly cookie; `tabToken` is in the answer, once, and goes into
 *   the header `X-Strongroom-Tab` of every call. A cookie without it is refused (`csrf_failed`).
 */
export const sessionTransports = ['bearer', 'cookie'] as const;
export type SessionTransport = (typeof sessionTransports)[number];

const Transport = Type.Enum(sessionTransports, { description: 'Default `bearer`' });
/** Text of a credential being presented; what it is stays unsaid until it is looked up. */
const PresentedToken = Type.String({ minLength: 1, maxLength: 256, writeOnly: true });
/** Characters; the limit of 1,024 bytes of UTF-8 is checked too. */
const TypedPassword = Type.String({ minLength: 1, maxLength: 1024, writeOnly: true });
export const NewPassword = Type.String({
  minLength: 12,
  maxLength: 1024,
  writeOnly: true,
  description: 'At least 12 characters, at most 1,024 bytes of UTF-8; any character, never cut',
});

const PrincipalSummary = Closed({
  id: Id,
  kind: Type.Enum(['user', 'service-account']),
  /** `ann`; for a service account of a domain `finance/etl`. */
  name: Type.String(),
  displayName: Type.String(),
});

const SignedIn = Closed({
  principal: PrincipalSummary,
  transport: Transport,
  expiresAt: Time,
  idleSeconds: Type.Integer({ description: 'The session ends after this long without a call' }),
  token: Type.Optional(Type.String({ description: 'With `bearer`: the session token, shown once' })),
  tabToken: Type.Optional(Type.String({ description: 'With `cookie`: goes into X-Strongroom-Tab, shown once' })),
});

const OwnSession = Closed({
  id: Id,
  transport: Transport,
  createdAt: Time,
  lastSeenAt: Time,
  expiresAt: Time,
  isCurrent: Type.Boolean(),
});

const Me = Closed({
  principal: PrincipalSummary,
  email: Type.Optional(Type.String()),
  hasPassword: Type.Boolean(),
  roles: Type.Array(Type.Enum(platformRoles), { description: 'Own and through groups, implied ones included' }),
  groups: Type.Array(Closed({ id: Id, name: Type.String(), displayName: Type.String() })),
  domains: Type.Array(
    Closed({
      id: Type.String(),
      name: Type.String(),
      displayName: Type.String(),
      presets: Type.Array(Type.Enum(presets)),
      permissions: Type.Array(Type.Enum(domainPermissions)),
    }),
    {
      description: 'Standing of its own or through groups, the first 200 by name; GET /v1/domains lists all it may see',
    },
  ),
  hasMoreDomains: Type.Boolean(),
  credential: Closed({ type: Type.Enum(['session', 'token', 'workload']), id: Id }),
});

export const authRoutes = [
  route({
    id: 'signInWithPassword',
    method: 'POST',
    path: '/v1/auth/login',
    summary: 'Sign in with a name and a password',
    tag: 'sign-in',
    access: { kind: 'public', reason: 'Signing in comes before being signed in' },
    body: Closed({
      name: Type.String({ minLength: 1, maxLength: 256, description: 'Case and surrounding blanks do not matter' }),
      password: TypedPassword,
      transport: Type.Optional(Transport),
    }),
    status: 200,
    response: SignedIn,
    errors: ['credentials_invalid', 'throttled', 'backend_unavailable'],
    rateLimitPerMinute: 60,
  }),
  route({
    id: 'signInWithLink',
    method: 'POST',
    path: '/v1/auth/link',
    summary: 'Sign in with the token of a one-time link',
    tag: 'sign-in',
    access: { kind: 'public', reason: 'The link is the credential; its token is in the URL fragment and posted here' },
    body: Closed({ token: PresentedToken, transport: Type.Optional(Transport) }),
    status: 200,
    response: SignedIn,
    errors: ['credentials_invalid', 'throttled'],
    rateLimitPerMinute: 60,
  }),
  route({
    id: 'signOut',
    method: 'DELETE',
    path: '/v1/auth/session',
    summary: 'End the session of this call',
    tag: 'sign-in',
    access: { kind: 'authenticated', reason: 'Everybody may end their own session' },
    status: 204,
    errors: ['state_conflict'],
  }),
  route({
    id: 'showMe',
    method: 'GET',
    path: '/v1/auth/me',
    summary: 'Who is signed in, with roles and standing in domains',
    tag: 'sign-in',
    access: { kind: 'authenticated', reason: 'It tells the caller about itself only' },
    status: 200,
    response: Me,
  }),
  route({
    id: 'setOwnPassword',
    method: 'PUT',
    path: '/v1/auth/password',
    summary: 'Set the own password; ends all own sessions and answers with a new one',
    tag: 'sign-in',
    access: {
      kind: 'authenticated',
      reason: 'It concerns the caller only, and needs the current password when there is one',
    },
    body: Closed({ currentPassword: Type.Optional(TypedPassword), newPassword: NewPassword }),
    status: 200,
    response: SignedIn,
    errors: ['credentials_invalid', 'throttled', 'state_conflict'],
    rateLimitPerMinute: 30,
  }),
  route({
    id: 'listOwnSessions',
    method: 'GET',
    path: '/v1/auth/sessions',
    summary: 'The own live sessions, newest first',
    tag: 'sign-in',
    access: { kind: 'authenticated', reason: 'It lists the caller’s own sessions' },
    status: 200,
    response: Closed({ items: Type.Array(OwnSession) }),
  }),
  route({
    id: 'revokeOwnSession',
    method: 'DELETE',
    path: '/v1/auth/sessions/{session}',
    summary: 'End one of the own sessions',
    tag: 'sign-in',
    access: { kind: 'authenticated', reason: 'Only sessions of the caller are found' },
    params: Closed({ session: Id }),
    status: 204,
    errors: ['not_found'],
  }),
] as const;
