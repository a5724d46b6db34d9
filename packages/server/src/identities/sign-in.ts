import { type SessionTransport, StrongroomError } from '@strongroom/contract';
import { burnPassword, CryptoError, hashPassword, needsRehash, verifyPassword } from '@strongroom/crypto';
import type { Caller } from '../access/types.ts';
import type { Keys } from '../keys/keys.ts';
import { newId } from '../store/ids.ts';
import { hotStatement, type Store } from '../store/store.ts';
import type { CredentialActivity } from './activity.ts';
import { actorOf } from './actor.ts';
import { createCredential, sessionIdleMilliseconds, sessionMilliseconds, tokenPrefixes } from './credentials.ts';
import { type PasswordGuest, type PasswordPlace, PasswordPlaces } from './password-places.ts';
import type { SessionRecord } from './queries.ts';
import type { NewSession, SignedInPrincipal, SignInOrigin } from './sign-in-commands.ts';
import {
  type AttemptKey,
  attemptKey,
  bucketsOf,
  judgeAttempt,
  type SucceededAttempt,
  throwIfWaiting,
} from './throttle.ts';
import { foldUserName } from './user-name.ts';

/** A session that has just begun; the texts exist here only. */
export interface OpenedSession {
  readonly principal: SignedInPrincipal;
  readonly transport: SessionTransport;
  readonly token: string;
  readonly tabToken: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
  readonly lifeSeconds: number;
  readonly idleSeconds: number;
}

export interface PasswordSignIn {
  readonly name: string;
  readonly password: string;
  readonly transport: SessionTransport;
}

export interface LinkSignIn {
  readonly token: string;
  readonly transport: SessionTransport;
}

export interface NewOwnPassword {
  readonly currentPassword?: string;
  readonly newPassword: string;
}

/**
 * Whether the directory takes the password of a user who comes from it.
 * @throws StrongroomError `backend_unavailable` when it could not be asked
 */
export type DirectorySignIn = (request: {
  readonly name: string;
  readonly directoryId: string;
  readonly password: string;
  readonly origin: SignInOrigin;
}) => Promise<boolean>;

interface UserRow {
  readonly id: string;
  readonly name: string;
  readonly password_hash: string | null;
  readonly disabled_at: number | null;
  readonly directory_id: string | null;
}

const minuteMilliseconds = 60_000;

const linkByHmac = hotStatement<{ id: string }>('identities.link_by_hmac', (db) =>
  db
    .selectFrom('sign_in_links')
    .select('id')
    .where('hmac', '=', new Uint8Array(0))
    .where('used_at', 'is', null)
    .compile(),
);

/** Signing in and out, and one's own password and sessions. */
export class SignInService {
  readonly #store: Store;
  readonly #keys: Keys;
  readonly #activity: CredentialActivity;
  readonly #clock: () => number;
  readonly #directory: DirectorySignIn | undefined;
  readonly #places: PasswordPlaces;

  constructor(
    store: Store,
    keys: Keys,
    activity: CredentialActivity,
    clock: () => number = Date.now,
    directory?: DirectorySignIn,
    places = new PasswordPlaces(),
  ) {
    this.#store = store;
    this.#keys = keys;
    this.#activity = activity;
    this.#clock = clock;
    this.#directory = directory;
    this.#places = places;
  }

  /**
   * An unknown name, a wrong password, a user without one and a disabled user are answered alike, in the same time.
   * @throws StrongroomError `credentials_invalid`, `throttled`
   */
  async withPassword(request: PasswordSignIn, origin: SignInOrigin): Promise<OpenedSession> {
    const name = foldUserName(request.name);
    return this.#attempt(attemptKey(name, origin.network), async (attempt, place) => {
      const user = name === null ? undefined : await this.#findUser('name', name);
      if (user !== undefined && user.directory_id !== null)
        return this.#byDirectory(user, request, origin, attempt, place);
      const [verifiedHash, rehash] = await place.work(() => verified(request.password, user));
      if (user === undefined || verifiedHash === null) {
        await this.#recordDenial(user, origin);
        throw new StrongroomError('credentials_invalid');
      }
      return this.#open(request.transport, (session) =>
        this.#store.execute('identities.signInWithPassword', {
          origin,
          principalId: user.id,
          verifiedHash,
          rehash,
          session,
          attempt,
        }),
      );
    });
  }

  /** The same work here as for everybody, and the directory's beside it. */
  async #byDirectory(
    user: UserRow,
    { password, transport }: PasswordSignIn,
    origin: SignInOrigin,
    attempt: SucceededAttempt,
    place: PasswordPlace,
  ): Promise<OpenedSession> {
    const { id, name, directory_id: directoryId } = user;
    const asked = { name, directoryId: directoryId ?? '', password, origin };
    const [isRight] = await Promise.all([
      user.disabled_at === null && this.#directory !== undefined ? this.#directory(asked) : false,
      // A directory that takes its time keeps nobody else's place.
      place.work(() => burnPassword(password)).finally(() => place.leave()),
    ]);
    if (!isRight) {
      await this.#recordDenial(user, origin);
      throw new StrongroomError('credentials_invalid');
    }
    return this.#open(transport, (session) =>
      this.#store.execute('identities.signInWithDirectory', { origin, principalId: id, session, attempt }),
    );
  }

  /** @throws StrongroomError `credentials_invalid` for a link that is unknown, used or expired, or whose user is gone */
  async withLink(request: LinkSignIn, origin: SignInOrigin): Promise<OpenedSession> {
    const link = await this.#findLink(request.token);
    if (link === undefined) {
      this.#activity.credentialRefused();
      throw new StrongroomError('credentials_invalid');
    }
    return this.#open(request.transport, (session) =>
      this.#store.execute('identities.signInWithLink', { origin, linkId: link.id, session }),
    );
  }

  /** @throws StrongroomError `state_conflict` when the call did not come with a session */
  async signOut(caller: Caller): Promise<void> {
    if (caller.credential.type !== 'session') {
      throw new StrongroomError('state_conflict', {
        detail: 'This call was made with a token, not with a session.',
        hint: 'Revoke the token to end it.',
      });
    }
    await this.#store.execute('identities.endSession', {
      actor: actorOf(caller),
      principalId: caller.id,
      sessionId: caller.credential.id,
      verb: 'sign-out',
    });
  }

  /**
   * Sets the caller's own password; the current one is needed when there is one. All its sessions end, a new one begins.
   * @throws StrongroomError `credentials_invalid`, `throttled`, `validation_failed`; `state_conflict` for service accounts
   */
  async setOwnPassword(caller: Caller, request: NewOwnPassword, origin: SignInOrigin): Promise<OpenedSession> {
    const user = caller.kind === 'user' ? await this.#findUser('id', caller.id) : undefined;
    if (user === undefined || caller.credential.type !== 'session') {
      throw new StrongroomError('state_conflict', { detail: 'Only users who are signed in have a password to set.' });
    }
    if (user.directory_id !== null)
      throw new StrongroomError('state_conflict', { detail: 'The directory has the password; it is changed there.' });
    const transport = await this.#transportOf(caller.credential.id);
    const { password_hash: verifiedHash } = user;
    const set = async (attempt: SucceededAttempt | null, place: PasswordPlace): Promise<OpenedSession> => {
      const current = request.currentPassword ?? '';
      if (verifiedHash !== null && !(await place.work(() => verifyPassword(current, verifiedHash)))) {
        await this.#recordDenial(user, origin);
        throw new StrongroomError('credentials_invalid', { detail: 'The current password is not right.' });
      }
      const passwordHash = await place.work(() => hashNewPassword(request.newPassword, user.name, '/newPassword'));
      const change = { actor: actorOf(caller), origin, userId: user.id, verifiedHash, passwordHash, attempt };
      return this.#open(transport, (session) => this.#store.execute('identities.setPassword', { ...change, session }));
    };
    return verifiedHash === null
      ? this.#inPlace('familiar', (place) => set(null, place))
      : this.#attempt(attemptKey(user.name, origin.network), set, 'familiar');
  }

  async listOwnSessions(caller: Caller): Promise<readonly SessionRecord[]> {
    const now = this.#clock();
    return this.#store.query('identities.listLiveSessions', {
      principalId: caller.id,
      now,
      seenSince: now - sessionIdleMilliseconds,
    });
  }

  /** @throws StrongroomError `not_found` unless it is a live session of the caller */
  async revokeOwnSession(caller: Caller, sessionId: string): Promise<void> {
    await this.#store.execute('identities.endSession', {
      actor: actorOf(caller),
      principalId: caller.id,
      sessionId,
      verb: 'session.revoke',
    });
  }

  /**
   * Counts the attempt before the password is looked at, so that attempts made at once are all counted. One that has to wait,
   * or finds no place, costs no write.
   */
  async #attempt<Result>(
    key: AttemptKey,
    run: (attempt: SucceededAttempt, place: PasswordPlace) => Promise<Result>,
    guest?: PasswordGuest,
  ): Promise<Result> {
    const rows = await this.#store.db
      .selectFrom('throttles')
      .selectAll()
      .where('bucket', 'in', Object.values(bucketsOf(key)))
      .execute();
    const looked = judgeAttempt(rows, key, this.#clock());
    throwIfWaiting(looked);
    return this.#inPlace(guest ?? (looked.isFamiliar ? 'familiar' : 'stranger'), async (place) => {
      const state = await this.#store.execute('identities.beginAttempt', key);
      throwIfWaiting(state);
      return run({ key, counted: state.counted }, place);
    });
  }

  async #inPlace<Result>(guest: PasswordGuest, run: (place: PasswordPlace) => Promise<Result>): Promise<Result> {
    const place = this.#places.take(guest);
    try {
      return await run(place);
    } finally {
      place.leave();
    }
  }

  /** A record for an account that exists, a count by the minute for others. Either is one commit, so the time doesn't tell. */
  async #recordDenial(user: UserRow | undefined, origin: SignInOrigin): Promise<void> {
    if (user !== undefined) {
      await this.#store.execute('identities.denySignIn', { origin, user: { id: user.id, name: user.name } });
      return;
    }
    const now = this.#clock();
    const minute = now - (now % minuteMilliseconds);
    await this.#store.execute('audit.countDenials', { counts: [{ minute, action: 'sign-in', count: 1 }] });
  }

  async #open(
    transport: SessionTransport,
    write: (session: NewSession) => Promise<SignedInPrincipal>,
  ): Promise<OpenedSession> {
    const session = createCredential(this.#keys, 'session');
    const tab = createCredential(this.#keys, 'tab');
    const expiresAt = this.#clock() + sessionMilliseconds;
    const { hmac, termId } = session;
    const principal = await write({ id: newId('session'), hmac, tabHmac: tab.hmac, termId, transport, expiresAt });
    return {
      principal,
      transport,
      token: session.text,
      tabToken: tab.text,
      expiresAt,
      lifeSeconds: sessionMilliseconds / 1000,
      idleSeconds: sessionIdleMilliseconds / 1000,
    };
  }

  async #findUser(column: 'id' | 'name', value: string): Promise<UserRow | undefined> {
    return this.#store.db
      .selectFrom('principals')
      .select(['id', 'name', 'password_hash', 'disabled_at', 'directory_id'])
      .where('kind', '=', 'user')
      .where(column, '=', value)
      .where('deleted_at', 'is', null)
      .executeTakeFirst();
  }

  async #findLink(token: string): Promise<{ id: string } | undefined> {
    if (!token.startsWith(tokenPrefixes.link)) return undefined;
    for (const { hmac } of this.#keys.tokenHashes(token)) {
      const link = await this.#store.first(linkByHmac, [hmac]);
      if (link !== undefined) return link;
    }
    return undefined;
  }

  async #transportOf(sessionId: string): Promise<SessionTransport> {
    const row = await this.#store.db
      .selectFrom('sessions')
      .select('transport')
      .where('id', '=', sessionId)
      .executeTakeFirst();
    if (row === undefined) throw new StrongroomError('unauthenticated');
    return row.transport;
  }
}

/** The hash that the password matches, and one for today where it is weaker; or null, after the same work whoever it is. */
async function verified(password: string, user: UserRow | undefined): Promise<readonly [string | null, string | null]> {
  if (user === undefined || user.password_hash === null) {
    await burnPassword(password);
    return [null, null];
  }
  const isRight = await verifyPassword(password, user.password_hash);
  if (!isRight || user.disabled_at !== null) return [null, null];
  return [user.password_hash, needsRehash(user.password_hash) ? await hashPassword(password) : null];
}

/**
 * Hashes a password somebody has chosen. The schema asks for 12 characters at least; here it must not be made of the name.
 * @throws StrongroomError `validation_failed`
 */
export async function hashNewPassword(password: string, userName: string, pointer: string): Promise<string> {
  const refuse = (message: string): StrongroomError =>
    new StrongroomError('validation_failed', { errors: [{ pointer, message }] });
  if (password.length < 12) throw refuse('A password has at least 12 characters.');
  if (new Set(password).size < 4) throw refuse('A password has at least four different characters.');
  if (password.toLowerCase().replaceAll(userName, '').length < 6) throw refuse('A password is not the name repeated.');
  try {
    return await hashPassword(password);
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause;
    throw refuse('A password has at most 1,024 bytes of valid text.');
  }
}
