import { StrongroomError } from '@strongroom/contract';
import type { Caller, ScopeRef } from '../access/types.ts';
import type { Store } from '../store/store.ts';
import type { SurfaceDefinition } from '../surfaces/definition.ts';
import { requireDestinations } from '../surfaces/destinations.ts';
import { resourceOf, useActionOf } from '../surfaces/registry.ts';
import { type ConfigurationRow, findConfiguration, usesOfConfiguration } from '../surfaces/rows.ts';
import { textProblems } from '../surfaces/texts.ts';
import { assetOf } from '../surfaces/views.ts';
import { authorisedWanted } from './plan.ts';
import { type PreflightResult, shownReference } from './preflight.ts';
import type { Resolver } from './resolve.ts';
import type { AuthorisedWanted } from './wanted.ts';

/**
 * What the use of a saved configuration would get that nothing launches: who consumes it, its ingestion, the server's own mail
 * and sync. The same path with the caller's identity: collect, decide, fetch, audit, drop. Nothing is connected to.
 *
 * @throws StrongroomError `not_found`, `permission_missing`, `audit_unavailable`
 */
export async function preflightUse<Document>(
  { store, resolver }: { readonly store: Store; readonly resolver: Resolver },
  surface: SurfaceDefinition<never, Document>,
  asked: { readonly caller: Caller; readonly scope: ScopeRef; readonly name: string; readonly signal: AbortSignal },
): Promise<PreflightResult> {
  const { caller, scope, name, signal } = asked;
  const row = await findConfiguration(store, scope.id, surface.type, name);
  if (row === undefined) throw new StrongroomError('not_found');
  const document = surface.parse(row.document);
  const wanted = authorisedWanted(surface, document, row.id, await usesOfConfiguration(store, row.id));
  const problems = [
    ...stateProblems(surface, row),
    ...textProblems(surface, document),
    ...(await destinationProblems(store, scope, surface, document, wanted)),
  ];
  const resolution = await resolver.resolve({
    verb: 'preflight',
    domain: scope,
    subject: caller,
    needs: [{ action: useActionOf(surface), resource: resourceOf(surface, assetOf(row, scope)) }],
    wanted,
    readsAll: true,
    signal,
    commit: async (release) => {
      if (wanted.length === 0) return;
      await store.execute('launches.record', undefined, {
        audit: release.audit,
        expectAuthorisationRevision: release.revision,
      });
    },
    refuse: async (release) => {
      await store.execute('launches.record', undefined, { audit: release.audit });
    },
  });
  if (resolution.ok) resolution.values.destroy();
  return {
    ok: resolution.ok && problems.length === 0,
    references: resolution.results.map(shownReference),
    problems,
  };
}

function stateProblems({ title }: Pick<SurfaceDefinition<never, unknown>, 'title'>, row: ConfigurationRow): string[] {
  return row.is_suspended === 1 ? [`The ${title} ${row.name} is deleted; it can be restored.`] : [];
}

async function destinationProblems<Document>(
  store: Store,
  scope: ScopeRef,
  { credentials }: SurfaceDefinition<never, Document>,
  document: Document,
  wanted: readonly AuthorisedWanted[],
): Promise<string[]> {
  if (credentials === undefined) return [];
  try {
    await requireDestinations(store, scope, wanted, credentials.destination(document));
    return [];
  } catch (error) {
    if (!(error instanceof StrongroomError)) throw error;
    return (error.errors ?? []).map(({ message }) => message);
  }
}
