import type { platformSurfaces } from '@strongroom/contract';
import type { CallInput, CallResult, Client } from '@strongroom/sdk';

/** What is shown of any. */
export interface ShownPlatform {
  readonly revision: number;
  readonly warnings: readonly { readonly pointer: string; readonly message: string }[];
}

/** One configuration of the platform, as the API does it. */
export interface PlatformCalls<One extends ShownPlatform = ShownPlatform> {
  readonly show: (client: Client) => Promise<One>;
  readonly put: (client: Client, body: unknown, ifMatch: number | undefined) => Promise<One>;
  /** What a put would make of it. */
  readonly preview: (client: Client, body: unknown, ifMatch: number | undefined) => Promise<One>;
  readonly preflight: (client: Client) => Promise<CallResult<'preflightEmail'>>;
  readonly delete: (client: Client, ifMatch: number) => Promise<unknown>;
}

const given = (ifMatch: number | undefined) => (ifMatch === undefined ? {} : { ifMatch });
const dryRun = { query: { dryRun: true } } as const;

const emailCalls: PlatformCalls<CallResult<'showEmail'>> = {
  show: (client) => client.showEmail(),
  // The server's schema decides; its errors name each field.
  put: (client, body, ifMatch) => client.putEmail({ body: body as CallInput<'putEmail'>['body'], ...given(ifMatch) }),
  preview: (client, body, ifMatch) =>
    client.putEmail({ body: body as CallInput<'putEmail'>['body'], ...dryRun, ...given(ifMatch) }),
  preflight: (client) => client.preflightEmail(),
  delete: (client, ifMatch) => client.deleteEmail({ ifMatch }),
};

const ldapCalls: PlatformCalls<CallResult<'showLdap'>> = {
  show: (client) => client.showLdap(),
  // The server's schema decides; its errors name each field.
  put: (client, body, ifMatch) => client.putLdap({ body: body as CallInput<'putLdap'>['body'], ...given(ifMatch) }),
  preview: (client, body, ifMatch) =>
    client.putLdap({ body: body as CallInput<'putLdap'>['body'], ...dryRun, ...given(ifMatch) }),
  preflight: (client) => client.preflightLdap(),
  delete: (client, ifMatch) => client.deleteLdap({ ifMatch }),
};

/** By surface; a new one of the contract does not compile until it is here. */
export const platformCalls = { email: emailCalls, ldap: ldapCalls } satisfies Readonly<
  Record<(typeof platformSurfaces)[number], PlatformCalls>
>;
