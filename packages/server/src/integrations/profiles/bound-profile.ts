import { type FieldError, StrongroomError } from '@strongroom/contract';
import { hotStatement, type Store } from '../../store/store.ts';
import { canonical } from '../../surfaces/compare.ts';
import { type Settings, methodOf, declarationOf, neededCredentials, storedSettings } from '../connection.ts';
import type { ProfileRow } from './commands.ts';

export type BoundProfile = ProfileRow & { readonly prefix: string };

/** Scope, name → a profile that the scope is bound to. */
const profileByName = hotStatement<BoundProfile>('integrations.profileByName', (db) =>
  db
    .selectFrom('profile_bindings')
    .innerJoin('profiles', 'profiles.id', 'profile_bindings.profile_id')
    .selectAll('profiles')
    .select('profile_bindings.prefix')
    .where('profile_bindings.scope_id', '=', '')
    .where('profiles.name', '=', '')
    .compile(),
);

const profileById = hotStatement<BoundProfile>(
  'integrations.profileById',
  (db) =>
    db
      .selectFrom('profile_bindings')
      .innerJoin('profiles', 'profiles.id', 'profile_bindings.profile_id')
      .selectAll('profiles')
      .select('profile_bindings.prefix')
      .where('profile_bindings.scope_id', '=', '')
      .where('profiles.id', '=', '')
      .compile(),
  { isRemembered: true },
);

/** What an integration takes its identity from. */
export interface ProfileUse {
  readonly scopeId: string;
  readonly type: string;
  readonly settings: Settings;
}

/**
 * The profile that an integration names, fit for its settings; `null` when it names none and needs none.
 * @throws StrongroomError `validation_failed`: none where one is needed, one that the scope is not bound to (which is the
 * same as none of that name), of another kind, or for other settings
 */
export async function chooseProfile(
  store: Pick<Store, 'first'>,
  use: ProfileUse,
  name: string | null,
): Promise<BoundProfile | null> {
  const isAmbient = neededCredentials(declarationOf(use.type), methodOf(use.settings)).length === 0;
  if (name === null) {
    if (!isAmbient) return null;
    throw invalid('is required: this authentication method is an identity of the server, which a profile lends');
  }
  if (!isAmbient) throw invalid('is not used by this authentication method');
  const profile = await store.first(profileByName, [use.scopeId, name]);
  if (profile === undefined) throw invalid('There is no profile with this name that may be used here');
  const errors = mismatches(profile, use);
  if (errors.length > 0) throw new StrongroomError('validation_failed', { errors });
  return profile;
}

/**
 * The profile of a saved integration as it is now.
 * @throws StrongroomError `state_conflict` when the scope is not bound to it any more, or it is for other settings
 */
export async function requireProfile(
  store: Pick<Store, 'first'>,
  use: ProfileUse,
  profileId: string,
): Promise<BoundProfile> {
  const profile = await store.first(profileById, [use.scopeId, profileId]);
  if (profile !== undefined && mismatches(profile, use).length === 0) return profile;
  throw new StrongroomError('state_conflict', {
    detail: 'The profile that this integration names does not lend its identity to these settings any more.',
    hint: 'Ask a platform administrator which profiles there are, and change the integration.',
  });
}

/** Settings of the integration that the profile fixes and that say something else. */
function mismatches(profile: ProfileRow, { type, settings }: ProfileUse): FieldError[] {
  if (profile.type !== type) return [{ pointer: '/profile', message: 'is for another kind of backend' }];
  const authentication: unknown = 'authentication' in settings ? settings.authentication : undefined;
  const own = { ...settings, ...(typeof authentication === 'object' ? authentication : {}) } as Readonly<
    Record<string, unknown>
  >;
  const fixed = storedSettings(profile.settings) as Readonly<Record<string, unknown>>;
  const unless = new Set<string>(open[profile.type]);
  return pinned[profile.type]
    .filter((name) => name in fixed || !unless.has(name))
    .filter((name) => canonical(own[name] ?? null) !== canonical(fixed[name] ?? null))
    .map((name) => ({
      pointer: name in settings ? `/settings/${name}` : `/settings/authentication/${name}`,
      message: 'is another than the profile is for',
    }));
}

/** What a profile fixes: where the identity may be shown, and as what. */
const pinned: Readonly<Record<ProfileRow['type'], readonly string[]>> = {
  VAULT: ['address', 'namespace', 'role', 'mount', 'audience'],
  AWS: ['roleArn', 'region', 'stsEndpoint'],
  GOOGLE: ['project', 'serviceAccount'],
  AZURE: ['clientId'],
};

/** Of these, what is anybody's to choose where the profile does not say it. */
const open: Readonly<Record<ProfileRow['type'], readonly string[]>> = {
  VAULT: [],
  AWS: ['region'],
  GOOGLE: [],
  AZURE: [],
};

function invalid(message: string): StrongroomError {
  return new StrongroomError('validation_failed', { errors: [{ pointer: '/profile', message }] });
}
