import type { AssetRef, Caller } from '../access/types.ts';
import { StrongroomError } from '@strongroom/contract';
import { dropSpec, prepareLaunch } from '../runs/launch-run.ts';
import type { RunPlace } from '../runs/runner.ts';
import type { RunService } from '../runs/service.ts';
import type { Store } from '../store/store.ts';
import { type ConfigurationRow, configurationOf } from '../surfaces/rows.ts';
import { planLaunch } from './plan.ts';
import type { ReferenceResult, Resolver } from './resolve.ts';

export interface PreflightResult {
  readonly ok: boolean;
  readonly references: {
    readonly name: string;
    readonly pointer: string;
    readonly reference: string;
    readonly source: string;
    readonly version?: string;
    readonly outcome: ReferenceResult['outcome'];
    readonly cause?: string;
    readonly fixableBy?: string[];
  }[];
  readonly problems: string[];
}

/**
 * The launch's own path with the caller's identity: collect, decide, fetch, audit, put into place, drop. Nothing is started
 * and no value leaves.
 */
export async function preflight(
  parts: { readonly store: Store; readonly resolver: Resolver; readonly runs: RunService },
  caller: Caller,
  asset: AssetRef,
  signal?: AbortSignal,
): Promise<PreflightResult> {
  const { store, resolver, runs } = parts;
  const row = await configurationOf(store, asset.id);
  if (row === undefined || row.deleted_at !== null) throw new StrongroomError('not_found');
  const plan = await planLaunch(store, asset.scope, row);
  const { place, problems: ofPlace } = await placeOf(runs, row);
  const found: string[] = [];
  const resolution = await resolver.resolve({
    verb: 'preflight',
    domain: asset.scope,
    subject: caller,
    needs: plan.needs,
    wanted: plan.wanted,
    readsAll: true,
    ...(signal === undefined ? {} : { signal }),
    inspect: (values) => {
      const { inspection, prepared } = prepareLaunch(plan, place, values);
      if (prepared !== null) dropSpec(prepared.spec);
      prepared?.redactor.dispose();
      return inspection;
    },
    commit: (release) =>
      store.execute('launches.record', undefined, {
        audit: release.audit,
        expectAuthorisationRevision: release.revision,
      }),
    refuse: async (release, problems) => {
      found.push(...problems);
      await store.execute('launches.record', undefined, { audit: release.audit });
    },
  });
  if (resolution.ok) resolution.values.destroy();
  const problems = [...new Set([...found, ...ofPlace])];
  return { ok: resolution.ok && problems.length === 0, references: resolution.results.map(shownReference), problems };
}

/** Where nothing can be started, the values are looked at all the same: one answer names all that is wrong. */
async function placeOf(
  runs: RunService,
  row: ConfigurationRow,
): Promise<{ readonly place: Pick<RunPlace, 'rendering' | 'check'>; readonly problems: readonly string[] }> {
  try {
    return { place: await runs.placeOf(row), problems: [] };
  } catch (error) {
    if (!(error instanceof StrongroomError)) throw error;
    const nowhere = { rendering: { name: row.name, home: '/nowhere' }, check: () => [] };
    return { place: nowhere, problems: [error.message] };
  }
}

export function shownReference(result: ReferenceResult): PreflightResult['references'][number] {
  const { name, pointer, reference, sourceName, version, outcome, cause, fixableBy } = result;
  return {
    name,
    pointer,
    reference,
    source: sourceName,
    ...(version === null ? {} : { version }),
    outcome,
    ...(cause === undefined ? {} : { cause }),
    ...(fixableBy === undefined ? {} : { fixableBy: [...fixableBy] }),
  };
}
