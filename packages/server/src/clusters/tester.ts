import { type clusterRoutes, type ResponseOf, StrongroomError } from '@strongroom/contract';
import type { ApiConnection } from '@strongroom/backends/kubernetes';
import type { ClusterRow } from './commands.ts';
import { requireUid } from './opened-clusters.ts';

type RouteOf<Id extends string> = Extract<(typeof clusterRoutes)[number], { readonly id: Id }>;
export type ClusterTest = ResponseOf<RouteOf<'testCluster'>>;
type Line = ClusterTest['lines'][number];
type Step = Line['step'];

const steps: readonly Step[] = ['credential', 'reachable', 'identity', 'issuer', 'token-review'];

/** Tries what a cluster is needed for, step by step; after one that failed the others are skipped. */
export async function testCluster(
  cluster: Pick<ClusterRow, 'name' | 'uid' | 'issuer'>,
  connect: () => Promise<ApiConnection>,
  signal: AbortSignal,
): Promise<ClusterTest> {
  const lines: Line[] = [];
  let api: ApiConnection | undefined;
  try {
    api = await connect();
    lines.push({ step: 'credential', outcome: 'ok', message: 'The credential could be read.' });
    await askAll(cluster, api, signal, lines);
  } catch (error) {
    if (!(error instanceof StrongroomError)) throw error;
    const step = steps[lines.length] ?? 'token-review';
    lines.push({ step, outcome: 'failed', code: error.code, message: error.message });
  } finally {
    await api?.close();
  }
  for (const step of steps.slice(lines.length))
    lines.push({ step, outcome: 'skipped', message: 'Not tried: a step before it failed.' });
  return { ok: lines.every(({ outcome }) => outcome !== 'failed'), lines };
}

async function askAll(
  cluster: Pick<ClusterRow, 'name' | 'uid' | 'issuer'>,
  api: ApiConnection,
  signal: AbortSignal,
  lines: Line[],
): Promise<void> {
  const { mayReviewTokens, readClusterIssuer, readClusterUid } = await import('@strongroom/backends/kubernetes');
  const uid = await readClusterUid(api, signal);
  lines.push({ step: 'reachable', outcome: 'ok', message: 'The API server answers, and knows the credential.' });
  requireUid(cluster, uid);
  lines.push({ step: 'identity', outcome: 'ok', message: 'It is the cluster that was registered.' });
  const issuer = await readClusterIssuer(api, signal);
  if (issuer !== null && issuer !== cluster.issuer)
    throw new StrongroomError('state_conflict', {
      detail: 'The cluster says another issuer of its tokens than the one that is registered.',
    });
  lines.push(
    issuer === null
      ? { step: 'issuer', outcome: 'skipped', message: 'The cluster does not tell us the issuer of its tokens.' }
      : { step: 'issuer', outcome: 'ok', message: 'The issuer of its tokens is the one that is registered.' },
  );
  const isAllowed = await mayReviewTokens(api, signal);
  if (isAllowed === false)
    throw new StrongroomError('backend_denied', {
      detail: 'The cluster does not let us have tokens checked: create on tokenreviews is missing.',
    });
  lines.push(
    isAllowed === null
      ? { step: 'token-review', outcome: 'skipped', message: 'The cluster does not say what is allowed.' }
      : { step: 'token-review', outcome: 'ok', message: 'The cluster checks tokens for us.' },
  );
}
