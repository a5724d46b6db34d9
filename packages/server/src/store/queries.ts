import { accessQueries } from '../access/queries.ts';
import { clusterQueries } from '../clusters/queries.ts';
import { workloadQueries } from '../workloads/queries.ts';
import { auditQueries } from '../audit/queries.ts';
import { identityQueries } from '../identities/queries.ts';
import { keyQueries } from '../keys/queries.ts';
import { inventoryQueries } from '../secrets/inventory-queries.ts';
import { secretQueries } from '../secrets/queries.ts';
import { impactQueries } from '../impact/queries.ts';
import { integrationQueries } from '../integrations/queries.ts';
import { managedStoreQueries } from '../managed-stores/queries.ts';
import { placeholderQueries } from '../placeholders/queries.ts';
import { surfaceQueries } from '../surfaces/queries.ts';
import { launchQueries } from '../launches/queries.ts';
import { noticeQueries } from '../notices/queries.ts';
import { runQueries } from '../runs/queries.ts';
import { domainQueries } from '../domains/queries.ts';

/** Every read of many rows, by name: one literal map, one line per folder. */
export const queries = {
  ...domainQueries,
  ...clusterQueries,
  ...workloadQueries,
  ...accessQueries,
  ...auditQueries,
  ...identityQueries,
  ...keyQueries,
  ...secretQueries,
  ...inventoryQueries,
  ...impactQueries,
  ...integrationQueries,
  ...managedStoreQueries,
  ...placeholderQueries,
  ...surfaceQueries,
  ...launchQueries,
  ...noticeQueries,
  ...runQueries,
};

export type Queries = typeof queries;
