import type { Kysely } from 'kysely';
import type { ColumnTypes } from './column-types.ts';
import { initial } from './0001-initial.ts';
import { secretSearch } from './0002-secret-search.ts';
import { integrations } from './0003-integrations.ts';
import { managedStores } from './0004-managed-stores.ts';
import { sourceVersions } from './0005-source-versions.ts';
import { auditSegments } from './0006-audit-segments.ts';
import { foundEntries } from './0007-found-entries.ts';
import { consumptions } from './0008-consumptions.ts';
import { auditOrder } from './0009-audit-order.ts';
import { clusters } from './0010-clusters.ts';
import { workloads } from './0011-workloads.ts';
import { directory } from './0012-directory.ts';
import { runWorkloads } from './0013-run-workloads.ts';
import { placeholderChanges } from './0014-placeholder-changes.ts';
import { managedObjects } from './0015-managed-objects.ts';
import { heldReceipts } from './0016-held-receipts.ts';
import { notices } from './0017-notices.ts';
import { secretWebhooks } from './0018-secret-webhooks.ts';
import { changedSecrets } from './0019-changed-secrets.ts';
import { oldLaunches } from './0020-old-launches.ts';
import { appendedAudit } from './0021-appended-audit.ts';

/** One step of the schema. Additive within a minor version; runs once, in a transaction of its own. */
export interface Migration {
  readonly name: string;
  up(db: Kysely<unknown>, types: ColumnTypes, now: number): Promise<void>;
}

/** In order; a migration's number is its position, from 1. */
export const migrations: readonly Migration[] = [
  initial,
  secretSearch,
  integrations,
  managedStores,
  sourceVersions,
  auditSegments,
  foundEntries,
  consumptions,
  auditOrder,
  clusters,
  workloads,
  directory,
  runWorkloads,
  placeholderChanges,
  managedObjects,
  heldReceipts,
  notices,
  secretWebhooks,
  changedSecrets,
  oldLaunches,
  appendedAudit,
];
