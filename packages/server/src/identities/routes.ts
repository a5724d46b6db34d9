import type {
  authRoutes,
  domainServiceAccountRoutes,
  groupRoutes,
  ResponseOf,
  serviceAccountRoutes,
  userRoutes,
} from '@strongroom/contract';
import type { HandlersOf } from '../http/handler.ts';
import type { Store } from '../store/store.ts';
import type { GroupService } from './groups.ts';
import { describeCaller } from './me.ts';
import type { ServiceAccountService } from './service-accounts.ts';
import type { OpenedSession, SignInService } from './sign-in.ts';
import type { UserService } from './users.ts';
import {
  groupView,
  linkView,
  memberView,
  pageView,
  serviceAccountView,
  sessionView,
  timeText,
  tokenView,
  userView,
} from './views.ts';

interface SignedInReply {
  readonly body: ResponseOf<(typeof authRoutes)[0]>;
  readonly sessionCookie?: { readonly value: string; readonly maxAgeSeconds: number };
}

/** The token goes into the body or into the cookie, never both. */
function signedInReply(opened: OpenedSession): SignedInReply {
  const { principal, transport, token, tabToken, expiresAt, idleSeconds, lifeSeconds } = opened;
  const body = {
    principal: { ...principal, kind: 'user' as const },
    transport,
    expiresAt: timeText(expiresAt),
    idleSeconds,
  };
  if (transport === 'bearer') return { body: { ...body, token } };
  return { body: { ...body, tabToken }, sessionCookie: { value: token, maxAgeSeconds: lifeSeconds } };
}

export function createAuthHandlers(signIn: SignInService, store: Store): HandlersOf<typeof authRoutes> {
  return {
    async signInWithPassword({ body, requestId, network }) {
      const { name, password, transport = 'bearer' } = body;
      return signedInReply(await signIn.withPassword({ name, password, transport }, { requestId, network }));
    },
    async signInWithLink({ body, requestId, network }) {
      const { token, transport = 'bearer' } = body;
      return signedInReply(await signIn.withLink({ token, transport }, { requestId, network }));
    },
    async signOut({ caller }) {
      await signIn.signOut(caller);
      return { sessionCookie: null };
    },
    async showMe({ caller }) {
      return { body: await describeCaller(store, caller) };
    },
    async setOwnPassword({ caller, body, requestId, network }) {
      return signedInReply(await signIn.setOwnPassword(caller, body, { requestId, network }));
    },
    async listOwnSessions({ caller }) {
      const sessions = await signIn.listOwnSessions(caller);
      return { body: { items: sessions.map((session) => sessionView(session, caller.credential.id)) } };
    },
    async revokeOwnSession({ caller, params }) {
      await signIn.revokeOwnSession(caller, params.session);
      return params.session === caller.credential.id ? { sessionCookie: null } : {};
    },
  };
}

export function createUserHandlers(users: UserService): HandlersOf<typeof userRoutes> {
  return {
    async createUser({ caller, body, idempotency }) {
      const { user, link } = await users.create(caller, body, idempotency);
      const signInLink = link === undefined ? {} : { signInLink: linkView(link) };
      return { body: { user: userView(caller, user), ...signInLink }, etag: user.revision };
    },
    async listUsers({ caller, query }) {
      return { body: pageView(await users.list(caller, query), (record) => userView(caller, record)) };
    },
    async showUser({ caller, params }) {
      const user = await users.get(params.user);
      return { body: userView(caller, user), etag: user.revision };
    },
    async updateUser({ caller, params, body, ifMatch }) {
      const user = await users.change(caller, params.user, body, ifMatch);
      return { body: userView(caller, user), etag: user.revision };
    },
    async deleteUser({ caller, params, ifMatch }) {
      await users.delete(caller, params.user, ifMatch);
      return {};
    },
    async createSignInLink({ caller, params, body }) {
      return { body: linkView(await users.createSignInLink(caller, params.user, body.resetPassword ?? false)) };
    },
    async revokeUserSessions({ caller, params }) {
      await users.revokeSessions(caller, params.user);
      return {};
    },
  };
}

export function createGroupHandlers(groups: GroupService): HandlersOf<typeof groupRoutes> {
  return {
    async createGroup({ caller, body, idempotency }) {
      const group = await groups.create(caller, body, idempotency);
      return { body: groupView(caller, group), etag: group.revision };
    },
    async listGroups({ caller, query }) {
      return { body: pageView(await groups.list(caller, query), (record) => groupView(caller, record)) };
    },
    async showGroup({ caller, params }) {
      const group = await groups.get(params.group);
      return { body: groupView(caller, group), etag: group.revision };
    },
    async updateGroup({ caller, params, body, ifMatch }) {
      const group = await groups.change(caller, params.group, body, ifMatch);
      return { body: groupView(caller, group), etag: group.revision };
    },
    async deleteGroup({ caller, params, ifMatch }) {
      await groups.delete(caller, params.group, ifMatch);
      return {};
    },
    async listGroupMembers({ caller, params, query }) {
      return { body: pageView(await groups.listMembers(caller, params.group, query), memberView) };
    },
    async addGroupMember({ caller, params }) {
      await groups.addMember(caller, params.group, params.principal);
      return {};
    },
    async deleteGroupMember({ caller, params }) {
      await groups.removeMember(caller, params.group, params.principal);
      return {};
    },
  };
}

export function createServiceAccountHandlers(
  accounts: ServiceAccountService,
): HandlersOf<typeof serviceAccountRoutes> & HandlersOf<typeof domainServiceAccountRoutes> {
  return {
    async createServiceAccount({ caller, body, idempotency }) {
      const account = await accounts.create(caller, body, undefined, idempotency);
      return { body: serviceAccountView(caller, account), etag: account.revision };
    },
    async listServiceAccounts({ caller, query }) {
      return { body: pageView(await accounts.list(caller, query), (record) => serviceAccountView(caller, record)) };
    },
    async showServiceAccount({ caller, params }) {
      const account = await accounts.get(params.serviceAccount);
      return { body: serviceAccountView(caller, account), etag: account.revision };
    },
    async updateServiceAccount({ caller, params, body, ifMatch }) {
      const account = await accounts.change(caller, params.serviceAccount, body, undefined, ifMatch);
      return { body: serviceAccountView(caller, account), etag: account.revision };
    },
    async deleteServiceAccount({ caller, params, ifMatch }) {
      await accounts.delete(caller, params.serviceAccount, undefined, ifMatch);
      return {};
    },
    async issueToken({ caller, params, body, idempotency }) {
      const issued = await accounts.issueToken(caller, params.serviceAccount, body, undefined, idempotency);
      return { body: { ...tokenView(issued), token: issued.token } };
    },
    async listTokens({ caller, params, query }) {
      return { body: pageView(await accounts.listTokens(caller, params.serviceAccount, query), tokenView) };
    },
    async revokeToken({ caller, params }) {
      await accounts.revokeToken(caller, params.serviceAccount, params.token);
      return {};
    },
    async createDomainServiceAccount({ caller, scope, body, idempotency }) {
      const account = await accounts.create(caller, body, scope, idempotency);
      return { body: serviceAccountView(caller, account, scope), etag: account.revision };
    },
    async listDomainServiceAccounts({ caller, scope, query }) {
      return {
        body: pageView(await accounts.list(caller, query, scope), (record) =>
          serviceAccountView(caller, record, scope),
        ),
      };
    },
    async showDomainServiceAccount({ caller, scope, params }) {
      const account = await accounts.get(params.serviceAccount, scope);
      return { body: serviceAccountView(caller, account, scope), etag: account.revision };
    },
    async updateDomainServiceAccount({ caller, scope, params, body, ifMatch }) {
      const account = await accounts.change(caller, params.serviceAccount, body, scope, ifMatch);
      return { body: serviceAccountView(caller, account, scope), etag: account.revision };
    },
    async deleteDomainServiceAccount({ caller, scope, params, ifMatch }) {
      await accounts.delete(caller, params.serviceAccount, scope, ifMatch);
      return {};
    },
    async issueDomainToken({ caller, scope, params, body, idempotency }) {
      const issued = await accounts.issueToken(caller, params.serviceAccount, body, scope, idempotency);
      return { body: { ...tokenView(issued), token: issued.token } };
    },
    async listDomainTokens({ caller, scope, params, query }) {
      return { body: pageView(await accounts.listTokens(caller, params.serviceAccount, query, scope), tokenView) };
    },
    async revokeDomainToken({ caller, scope, params }) {
      await accounts.revokeToken(caller, params.serviceAccount, params.token, scope);
      return {};
    },
  };
}
