import { argon2Sync, randomBytes } from 'node:crypto';
import type { SessionTransport, StrongroomError } from '@strongroom/contract';
import { type AccessService, createAccess } from '../../access/service.ts';
import type { Caller } from '../../access/types.ts';
import type { Keyring } from '../../keys/keyring.ts';
import { newId } from '../../store/ids.ts';
import type { Store } from '../../store/store.ts';
import type { TestStore } from '../../../testing/stores.ts';
import { CredentialActivity } from '../activity.ts';
import { systemActor } from '../actor.ts';
import type { Authentication } from '../../http/authentication.ts';
import { createAuthentication } from '../authentication.ts';
import { bootstrapIdentities } from '../bootstrap.ts';
import { GroupService } from '../groups.ts';
import { ServiceAccountService } from '../service-accounts.ts';
import { SignInService } from '../sign-in.ts';
import { UserService } from '../users.ts';

/** A clock that tests move; the store's own clock goes on. */
class MovedClock {
  offsetMilliseconds = 0;
  readonly read = (): number => Date.now() + this.offsetMilliseconds;
}

/** The services of this folder over a real store whose first administrator is signed in. */
export interface IdentityWorld {
  readonly store: Store;
  readonly keys: Keyring;
  readonly access: AccessService;
  readonly clock: MovedClock;
  readonly activity: CredentialActivity;
  readonly authentication: Authentication;
  readonly signIn: SignInService;
  readonly users: UserService;
  readonly groups: GroupService;
  readonly accounts: ServiceAccountService;
  /** The first administrator, with a current snapshot. */
  admin(): Promise<Caller>;
  callerOf(token: string): Promise<Caller>;
  close(): Promise<void>;
}

export const here = { requestId: 'req-test', network: '192.0.2.10' };
export const goodPassword = 'correct horse battery';

/** Verified in no time, unlike today's parameters; replaced by the first sign-in. */
const goodPasswordHash = cheapHash(goodPassword);

function cheapHash(password: string): string {
  const nonce = randomBytes(16);
  const parameters = { message: password, nonce, parallelism: 1, tagLength: 32, memory: 8, passes: 1 };
  const text = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '');
  return `$argon2id$v=19$m=8,t=1,p=1$${text(nonce)}$${text(argon2Sync('argon2id', parameters))}`;
}

/** A user with {@link goodPassword}. */
export async function addUser(
  world: IdentityWorld,
  name: string,
): Promise<{ readonly id: string; readonly name: string }> {
  const id = newId('user');
  const user = { id, name, displayName: name, email: null, roles: [], passwordHash: goodPasswordHash, link: null };
  await world.store.execute('identities.createUser', { actor: systemActor, ...user });
  return { id, name };
}

/** Signs a user in without the work of a password. */
export async function signInByLink(world: IdentityWorld, userId: string, transport: SessionTransport = 'bearer') {
  const { token } = await world.users.createSignInLink(await world.admin(), userId, false);
  return world.signIn.withLink({ token, transport }, here);
}

export async function openWorld(test: TestStore): Promise<IdentityWorld> {
  const { store, keys } = test;
  const clock = new MovedClock();
  const access = createAccess(store);
  const activity = new CredentialActivity(store, { count: () => undefined }, (error) => {
    throw error;
  });
  const authentication = createAuthentication(store, keys, access, activity, clock.read);
  const signIn = new SignInService(store, keys, activity, clock.read);
  const { signInLink } = await bootstrapIdentities(store, keys);
  if (signInLink === null) throw new Error('The first start made no link');
  const opened = await signIn.withLink({ token: signInLink.link.token, transport: 'bearer' }, here);
  const callerOf = async (token: string): Promise<Caller> => authentication.byBearer(token, here);
  const first = await callerOf(opened.token);
  return {
    store,
    keys,
    access,
    clock,
    activity,
    authentication,
    signIn,
    users: new UserService(store, keys, access, clock.read),
    groups: new GroupService(store, keys, access),
    accounts: new ServiceAccountService(store, keys, access, clock.read),
    async admin() {
      const snapshot = await access.snapshot(first.id);
      if (snapshot === null) throw new Error('The first administrator is gone');
      return { ...first, snapshot };
    },
    callerOf,
    close: () => activity.close(),
  };
}

/** The code a promise is refused with; `undefined` when it isn't. */
export async function codeOf(promise: Promise<unknown>): Promise<StrongroomError['code'] | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    if (error instanceof Error && 'code' in error) return (error as StrongroomError).code;
    throw error;
  }
}

/** The codes of promises that run at the same time. */
export function codesOf(
  promises: readonly Promise<unknown>[],
): Promise<readonly (StrongroomError['code'] | undefined)[]> {
  return Promise.all(promises.map(codeOf));
}

/** What audit records say, oldest first. */
export async function auditTrail(store: Store): Promise<readonly Record<string, unknown>[]> {
  const rows = await store.db
    .selectFrom('audit_records')
    .select(['record', 'chain_id', 'sequence'])
    .orderBy('sequence')
    .execute();
  return rows.map((row) => JSON.parse(Buffer.from(row.record).toString('utf8')) as Record<string, unknown>);
}
