import type {
  authRoutes,
  domainServiceAccountRoutes,
  groupRoutes,
  serviceAccountRoutes,
  userRoutes,
} from '@strongroom/contract';
import type { AccessService } from '../access/service.ts';
import type { Authentication } from '../http/authentication.ts';
import type { HandlersOf } from '../http/handler.ts';
import type { Keys } from '../keys/keys.ts';
import type { Store } from '../store/store.ts';
import { CredentialActivity, type DenialSink } from './activity.ts';
import { createAuthentication, type WorkloadTokens } from './authentication.ts';
import { GroupService } from './groups.ts';
import { createAuthHandlers, createGroupHandlers, createServiceAccountHandlers, createUserHandlers } from './routes.ts';
import { ServiceAccountService } from './service-accounts.ts';
import { type DirectorySignIn, SignInService } from './sign-in.ts';
import { UserService } from './users.ts';

export { bootstrapIdentities, type BootstrapResult, createOperatorLink } from './bootstrap.ts';
export { signInLinkText } from './credentials.ts';

export type IdentityHandlers = HandlersOf<typeof authRoutes> &
  HandlersOf<typeof userRoutes> &
  HandlersOf<typeof groupRoutes> &
  HandlersOf<typeof serviceAccountRoutes> &
  HandlersOf<typeof domainServiceAccountRoutes>;

export interface IdentityOptions {
  /** Told when last uses could not be written, or the hourly sweep failed; both are tried again. */
  readonly onError: (error: unknown) => void;
  /** Counts credentials that are refused. */
  readonly denials: DenialSink;
  readonly clock?: () => number;
  /** For users who come from a directory; without it they can't sign in. */
  readonly directory?: DirectorySignIn;
  /** Finds who a token of another kind is of: a pod’s. Without it such tokens are nobody’s. */
  readonly workloads?: WorkloadTokens;
}

/** Everything of this folder that a running server uses. */
export interface Identities {
  readonly authentication: Authentication;
  readonly handlers: IdentityHandlers;
  readonly accounts: ServiceAccountService;
  /** Writes last uses now instead of within half a minute. */
  flush(): Promise<void>;
  /** Stops the timers and writes last uses; before the store is closed. */
  close(): Promise<void>;
}

export function openIdentities(store: Store, keys: Keys, access: AccessService, options: IdentityOptions): Identities {
  const clock = options.clock ?? Date.now;
  const activity = new CredentialActivity(store, options.denials, options.onError);
  const accounts = new ServiceAccountService(store, keys, access, clock);
  return {
    authentication: createAuthentication(store, keys, access, activity, clock, options.workloads),
    handlers: {
      ...createAuthHandlers(new SignInService(store, keys, activity, clock, options.directory), store),
      ...createUserHandlers(new UserService(store, keys, access, clock)),
      ...createGroupHandlers(new GroupService(store, keys, access)),
      ...createServiceAccountHandlers(accounts),
    },
    accounts,
    flush: () => activity.flush(),
    close: () => activity.close(),
  };
}
