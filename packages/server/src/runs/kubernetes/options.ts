import type { KubernetesOptions } from '@strongroom/contract';
import { StrongroomError } from '@strongroom/contract';
import type { ClusterTarget } from '../../clusters/opened-clusters.ts';
import { launchableOf } from '../../surfaces/registry.ts';
import type { ConfigurationRow } from '../../surfaces/rows.ts';
import type { WorkloadForm } from '../runner.ts';

/** What the documents of all launchable surfaces have in common, as far as a cluster is concerned. */
interface LaunchedDocument {
  readonly image?: string;
  readonly spark?: unknown;
  readonly kubernetes?: KubernetesOptions;
}

export interface WantedWorkload {
  readonly image: string;
  readonly form: WorkloadForm;
  readonly options: KubernetesOptions;
}

/** What a configuration wants to be in a cluster. @throws StrongroomError `runner_unavailable` when it names no image */
export function wantedWorkload(row: ConfigurationRow): WantedWorkload {
  const { image, spark, kubernetes: options = {} } = JSON.parse(row.document) as LaunchedDocument;
  if (image === undefined)
    throw new StrongroomError('runner_unavailable', {
      detail: `${row.name} names no image, and the Kubernetes runner starts nothing else.`,
      hint: 'Set "image", or "runner": "process".',
    });
  return { image, options, form: options.form ?? defaultForm(row.surface, spark !== undefined) };
}

function defaultForm(surface: string, isSpark: boolean): WorkloadForm {
  if (launchableOf(surface).launch.runsUntilStopped) return 'pod';
  return isSpark ? 'spark-application' : 'job';
}

/** As {@link chooseTarget} chooses it; `null`: it is not clear, or there is none. */
export function targetOf(
  row: Pick<ConfigurationRow, 'document'>,
  targets: readonly ClusterTarget[],
): ClusterTarget | null {
  const { kubernetes = {} } = JSON.parse(row.document) as LaunchedDocument;
  const [only, second] = fitting(targets, kubernetes);
  return second === undefined ? (only ?? null) : null;
}

type Wanted = Pick<KubernetesOptions, 'cluster' | 'namespace'>;

function fitting(targets: readonly ClusterTarget[], { cluster, namespace }: Wanted): readonly ClusterTarget[] {
  return targets.filter(
    (target) =>
      (cluster === undefined || target.cluster === cluster) &&
      (namespace === undefined || target.namespace === namespace),
  );
}

/** The namespace of the domain that the configuration means. @throws StrongroomError `runner_unavailable` when it is not clear */
export function chooseTarget(targets: readonly ClusterTarget[], wanted: Wanted): ClusterTarget {
  const [only, second] = fitting(targets, wanted);
  if (only !== undefined && second === undefined) return only;
  if (targets.length === 0)
    throw new StrongroomError('runner_unavailable', {
      detail: 'The domain has no namespace in a Kubernetes cluster.',
      hint: 'An administrator registers a cluster and gives the domain a namespace: strongroom k8s target.',
    });
  throw new StrongroomError('runner_unavailable', {
    detail:
      only === undefined
        ? 'The namespace that the configuration names is not one of the domain.'
        : 'The domain has several namespaces, and the configuration does not say which one it means.',
    hint: 'Set "kubernetes": {"cluster", "namespace"} to one of the domain’s.',
  });
}
