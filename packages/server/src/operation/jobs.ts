import { StrongroomError } from '@strongroom/contract';
import type { KeyIndex } from '../integrations/key-index.ts';
import type { OutsideCredentials } from '../integrations/outside-credentials.ts';
import { type FollowParts, followTable } from '../managed-stores/legacy-table/follow-table.ts';
import type { ManagedStoreParts } from '../managed-stores/parts.ts';
import type { Keyring } from '../keys/keyring.ts';
import { type Removed, removeOldLaunches } from '../launches/retention.ts';
import { endSilentLaunches } from '../launches/silent.ts';
import type { SourceVersions } from '../launches/source-versions.ts';
import { resealRetired } from '../keys/reseal.ts';
import type { NoticeSender } from '../notices/sender.ts';
import { purgeable } from '../secrets/queries.ts';
import { asStrongroomError } from '../store/errors.ts';
import type { OwnedSecrets } from '../surfaces/owned-secrets.ts';
import type { Store } from '../store/store.ts';
import type { PeriodicJob } from './scheduler.ts';

const minute = 60_000;
const rowsAtOnce = 500;
/** As long as an idempotency key lives. */
const intentDays = 1;

/**
 * The work that one server does for all, by name. Not here, because every server does it for itself: audit checkpoints and
 * counted denials (`audit/background.ts`), last uses and expired sessions (`identities/activity.ts`), runs and their logs
 * (`runs/service.ts`).
 */
export function periodicJobs(
  store: Store,
  keyring: Keyring,
  keyIndex: KeyIndex,
  managed: ManagedStoreParts,
  sourceVersions: SourceVersions,
  outsideCredentials: OutsideCredentials,
): readonly PeriodicJob[] {
  return [
    {
      name: 'idempotency-sweep',
      everyMilliseconds: 10 * minute,
      run: async ({ signal }) => {
        let removed = rowsAtOnce;
        while (removed > 0 && !signal.aborted)
          ({ removed } = await store.execute('idempotency.sweep', { limit: rowsAtOnce }));
      },
    },
    {
      name: 'purge-deleted-secrets',
      everyMilliseconds: 10 * minute,
      run: ({ signal }) => purgeDeleted(store, managed, signal),
    },
    {
      name: 'settle-writes',
      everyMilliseconds: 15_000,
      run: ({ signal }) => managed.settler.settleDue(signal),
    },
    {
      name: 'sweep-writes',
      everyMilliseconds: 10 * minute,
      run: async ({ signal }) => {
        let removed = rowsAtOnce;
        while (removed === rowsAtOnce && !signal.aborted)
          ({ removed } = await store.execute('managed.sweep', {
            keptMilliseconds: intentDays * 24 * 60 * minute,
            limit: rowsAtOnce,
          }));
      },
    },
    {
      name: 'watch-managed-stores',
      everyMilliseconds: minute,
      run: ({ signal }) => managed.watcher.round(signal),
    },
    {
      name: 'find-entries',
      everyMilliseconds: minute,
      run: ({ signal }) => managed.finder.round(signal),
    },
    {
      name: 'sweep-credentials',
      everyMilliseconds: 10 * minute,
      run: ({ signal }) => outsideCredentials.sweep(signal),
    },
    {
      name: 'index-integrations',
      everyMilliseconds: 15_000,
      run: ({ signal }) => keyIndex.refreshDue(signal),
    },
    {
      name: 'watch-integrations',
      everyMilliseconds: minute,
      run: ({ signal }) => sourceVersions.round(signal),
    },
    {
      name: 'end-silent-launches',
      everyMilliseconds: 6 * 60 * minute,
      run: ({ signal }) => endSilentLaunches(store, store.now(), signal),
    },
    {
      name: 'reseal-values',
      everyMilliseconds: minute,
      run: async (lease) => {
        if (!(await hasRetired(store))) return;
        const { failed } = await resealRetired(store, keyring, { batches: 50, signal: lease.signal, lease });
        if (failed === 0) return;
        throw new StrongroomError('internal', {
          detail: `${failed} stored values do not decrypt and stay under their retired key: their rows were changed.`,
        });
      },
    },
  ];
}

/** Keeps in Global what the table of a legacy install holds. */
export function legacyTableJob(parts: FollowParts): PeriodicJob {
  return {
    name: 'follow-legacy-table',
    everyMilliseconds: minute,
    run: ({ signal }) => followTable(parts, signal),
  };
}

/** What crashes leave of saves with credentials. */
export function sweepOwnedSecrets(ownedSecrets: OwnedSecrets): PeriodicJob {
  return {
    name: 'sweep-owned-secrets',
    everyMilliseconds: 5 * minute,
    run: ({ signal }) => ownedSecrets.sweep(signal),
  };
}

/** Tells of expiries and due rotations. */
export function noticeJobs(sender: NoticeSender): readonly PeriodicJob[] {
  return [
    { name: 'send-notices', everyMilliseconds: minute, run: (lease) => sender.round(lease) },
    { name: 'sweep-notices', everyMilliseconds: 6 * 60 * minute, run: ({ signal }) => sender.sweep(signal) },
  ];
}

/** Removes launches that ended long ago. @param onRemoved after each batch */
export function retentionJob(store: Store, days: number, onRemoved: (removed: Removed) => void): PeriodicJob {
  return {
    name: 'remove-old-launches',
    everyMilliseconds: 60 * minute,
    run: (lease) => removeOldLaunches(store, { before: store.now() - days * 24 * 60 * minute, lease, onRemoved }),
  };
}

/** By key, on this thread: an idle server starts no reader for the answer, which is nearly always no. */
async function hasRetired({ db }: Store): Promise<boolean> {
  const retired = db.selectFrom('key_terms').select('id').where('purpose', '=', 'value').where('state', '=', 'retired');
  const first = (table: 'secret_versions' | 'integration_credentials') =>
    db.selectFrom(table).select('term_id').where('term_id', 'in', retired).limit(1).executeTakeFirst();
  return (await first('secret_versions')) !== undefined || (await first('integration_credentials')) !== undefined;
}

/**
 * Ends the retention of deleted secrets: row, versions and index entry go, one audited command each; with the entry of a store
 * outside the database, unless it was edited there.
 */
async function purgeDeleted(store: Store, { writes }: ManagedStoreParts, signal: AbortSignal): Promise<void> {
  for (;;) {
    const due = await purgeable(store, { now: Date.now(), limit: rowsAtOnce });
    let failure: StrongroomError | undefined;
    for (const { id, key, scope_id, source_id, source_type } of due) {
      if (signal.aborted) return;
      const audit = {
        principal: 'system',
        principalName: 'system',
        action: 'secret.manage',
        outcome: 'allowed',
        scope: { id: scope_id, name: '' },
        object: { type: 'secret', id, name: key },
        because: ['purge', 'retention-over'],
        detail: { change: 'purge' },
      } as const;
      try {
        const plan = { kind: 'purge', args: { secretId: id }, audit } as const;
        await writes.write({
          writer: store,
          scopeId: scope_id,
          source: { id: source_id, type: source_type },
          key,
          plan,
          parsed: null,
        });
      } catch (error) {
        // A store that is away holds up no other scope's.
        if (source_type === 'DATABASE') throw error;
        failure ??= asStrongroomError(error);
      }
    }
    if (failure !== undefined) throw failure;
    if (due.length < rowsAtOnce) return;
  }
}
