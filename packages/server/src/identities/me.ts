import type { authRoutes, ResponseOf } from '@strongroom/contract';
import type { Caller } from '../access/types.ts';
import type { Store } from '../store/store.ts';
import { readPrincipal } from './users.ts';
import { principalView } from './views.ts';

type Me = ResponseOf<Extract<(typeof authRoutes)[number], { readonly id: 'showMe' }>>;

/** Domains told at once; the list of domains has the rest. */
const maxDomains = 200;

/** What a caller may know about itself. @throws StrongroomError `not_found` when it was deleted this moment */
export async function describeCaller(store: Store, caller: Caller): Promise<Me> {
  const { snapshot } = caller;
  const [principal, place] = await Promise.all([
    readPrincipal(store, caller.kind, caller.id),
    store.query('identities.ownPlace', {
      groupIds: [...snapshot.actorIds].filter((id) => id !== caller.id),
      domainIds: [...snapshot.domains.keys()],
      limit: maxDomains + 1,
    }),
  ]);
  return {
    principal: principalView(principal),
    ...(principal.email === null ? {} : { email: principal.email }),
    hasPassword: principal.hasPassword,
    roles: [...snapshot.roles],
    groups: place.groups.map((group) => ({ ...group })),
    domains: place.domains.slice(0, maxDomains).map((domain) => ({
      ...domain,
      presets: [...(snapshot.domains.get(domain.id)?.presets ?? [])],
      permissions: [...(snapshot.domains.get(domain.id)?.permissions ?? [])],
    })),
    hasMoreDomains: place.domains.length > maxDomains,
    credential: { ...caller.credential },
  };
}
