import type { BackendParts } from '../definition.ts';
import type { SignIn } from './sign-in.ts';

/** A token that somebody made: there is no log-in, and no other token when it is refused. It is never renewed from here. */
export function tokenSignIn(credential: BackendParts['credential']): SignIn {
  return {
    isRenewable: false,
    obtain: async () => ({ value: await credential('token'), leaseSeconds: 0, uses: 0 }),
  };
}
