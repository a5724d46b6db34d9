import type { KubernetesOptions } from '@strongroom/contract';
import type { ProcessSpec } from '../process-spec.ts';
import type { WorkloadForm } from '../runner.ts';
import { javaOptionsFile, javaOptionsFileName, javaOptionsVariable } from './java-options.ts';

/** Where a workload finds its files; its working folder, but for what an operator starts. */
export const workloadHome = '/strongroom';
/** The container that the command runs in. The Spark operator has a name of its own for it. */
const containerName = 'main';
const sparkContainerName = 'spark-kubernetes-driver';
/** Seconds between SIGTERM and SIGKILL, as for processes. */
const graceSeconds = 10;
/** When the cluster clears away a finished Job by itself, should nobody do it: seven days. */
const jobSeconds = 604_800;
/** Who may read the mounted files, beside root. */
const fileGroup = 65_532;
const defaultSparkVersion = '4.0.0';

export const runLabel = 'strongroom/run';
export const installationLabel = 'strongroom/installation';

/** https://kubernetes.io/docs/reference/kubernetes-api/, https://github.com/kubeflow/spark-operator/blob/master/docs/api-docs.md */
export const kinds = {
  secret: { apiVersion: 'v1', kind: 'Secret', plural: 'secrets' },
  pod: { apiVersion: 'v1', kind: 'Pod', plural: 'pods' },
  job: { apiVersion: 'batch/v1', kind: 'Job', plural: 'jobs' },
  'spark-application': {
    apiVersion: 'sparkoperator.k8s.io/v1beta2',
    kind: 'SparkApplication',
    plural: 'sparkapplications',
  },
} as const;

/** Which run something in a cluster belongs to. */
export interface WorkloadIdentity {
  readonly installationId: string;
  readonly runId: string;
  readonly surface: string;
  readonly configuration: string;
  readonly form: WorkloadForm;
  readonly name: string;
  readonly image: string;
  readonly options: KubernetesOptions;
}

/** A run's id is never used twice, and so is this. */
export function workloadName(runId: string): string {
  return `strongroom-${runId.replaceAll('_', '-')}`;
}

export function labelsOf(identity: Pick<WorkloadIdentity, 'installationId' | 'runId'>): Record<string, string> {
  return { [installationLabel]: identity.installationId, [runLabel]: identity.runId };
}

export function containerOf(form: WorkloadForm): string {
  return form === 'spark-application' ? sparkContainerName : containerName;
}

/** One place of the Secret: a variable, or a file. */
interface SecretEntry {
  readonly key: string;
  readonly name: string;
}

interface SecretEntries {
  readonly variables: readonly SecretEntry[];
  readonly files: readonly SecretEntry[];
}

/** What a Secret takes: the sum of its values (MaxSecretSize of Kubernetes). */
const maxSecretBytes = 1_048_576;

/** What of a rendered launch can't be given in a cluster. */
export function problemsOf(spec: ProcessSpec, form: WorkloadForm): string[] {
  const problems: string[] = [];
  const data = dataOf(spec);
  const bytes = Object.values(data).reduce((sum, value) => sum + value.length, 0);
  for (const value of Object.values(data)) value.fill(0);
  if (bytes > maxSecretBytes)
    problems.push(`Variables and files together are over ${maxSecretBytes} bytes, which is what a Secret takes.`);
  if (form !== 'spark-application') return problems;
  if (spec.spark === undefined) problems.push('Only a Spark program can be a SparkApplication.');
  for (const { name } of spec.files)
    if (name.includes('/')) problems.push(`${name}: a SparkApplication has its files in one folder.`);
  for (const [name, { text, isSecret }] of spec.spark?.properties ?? [])
    if (isSecret && !/^[\u0001-\u007f]*$/.test(text))
      problems.push(`${name}: a secret property of a SparkApplication is ASCII; use a variable or a file.`);
  return problems;
}

/** The owner of everything else: what it needs is in the Secret of the same name, for which its pods wait. */
export function ownerManifest(identity: WorkloadIdentity, spec: ProcessSpec): object {
  const { apiVersion, kind } = kinds[identity.form];
  const head = { apiVersion, kind, metadata: { name: identity.name, labels: allLabels(identity) } };
  const deadline = spec.timeoutSeconds === undefined ? {} : { activeDeadlineSeconds: spec.timeoutSeconds };
  switch (identity.form) {
    case 'pod':
      return { ...head, spec: { ...podSpec(identity, spec), ...deadline } };
    case 'job':
      return {
        ...head,
        spec: {
          ...deadline,
          completions: 1,
          parallelism: 1,
          backoffLimit: 0,
          ttlSecondsAfterFinished: jobSeconds,
          template: { metadata: { labels: allLabels(identity) }, spec: podSpec(identity, spec) },
        },
      };
    case 'spark-application':
      return { ...head, spec: sparkSpec(identity, spec) };
  }
}

/** All values of one launch, and of no other. The text holds them in base64; whoever has it lets go of it. */
export function secretManifest(identity: WorkloadIdentity, ownerUid: string, spec: ProcessSpec): string {
  const { apiVersion, kind } = kinds[identity.form];
  const data = dataOf(spec);
  const manifest = JSON.stringify({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: identity.name,
      labels: allLabels(identity),
      ownerReferences: [{ apiVersion, kind, name: identity.name, uid: ownerUid, controller: false }],
    },
    immutable: true,
    type: 'Opaque',
    data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, value.toString('base64')])),
  });
  for (const value of Object.values(data)) value.fill(0);
  return manifest;
}

function allLabels(identity: WorkloadIdentity): Record<string, string> {
  return {
    'app.kubernetes.io/managed-by': 'strongroom',
    ...labelsOf(identity),
    'strongroom/surface': identity.surface,
    'strongroom/configuration': identity.configuration,
  };
}

/**
 * Keys by position: a variable's name may be longer than a key. A file keeps its name where that is a key, for what mounts the
 * Secret as a whole; names of files don't begin with a dot, so the others are never one of them.
 */
function entriesOf(spec: ProcessSpec): SecretEntries {
  return {
    variables: [...environmentOf(spec).keys()].map((name, index) => ({ key: `.env-${index}`, name })),
    files: spec.files.map(({ name }, index) => ({ key: name.includes('/') ? `.file-${index}` : name, name })),
  };
}

/** By key; copies that the caller zeroes. */
function dataOf(spec: ProcessSpec): Record<string, Buffer> {
  const { variables, files } = entriesOf(spec);
  const environment = environmentOf(spec);
  const properties = secretProperties(spec);
  return Object.fromEntries([
    ...variables.map(({ key, name }) => [key, Buffer.from(environment.get(name) ?? '')] as const),
    ...files.map(({ key }, index) => [key, Buffer.from(spec.files[index]?.content ?? [])] as const),
    ...(properties.length === 0 ? [] : [[javaOptionsFileName, javaOptionsFile(properties)] as const]),
  ]);
}

function secretProperties({ spark }: ProcessSpec): (readonly [name: string, text: string])[] {
  return [...(spark?.properties ?? [])].filter(([, { isSecret }]) => isSecret).map(([name, { text }]) => [name, text]);
}

function environmentOf(spec: ProcessSpec): ReadonlyMap<string, string> {
  if (secretProperties(spec).length === 0) return spec.environment;
  const own = spec.environment.get(javaOptionsVariable);
  return new Map(spec.environment).set(javaOptionsVariable, javaOptionsWith(own));
}

function javaOptionsWith(own: string | undefined): string {
  const ours = `@${workloadHome}/${javaOptionsFileName}`;
  return own === undefined || own === '' ? ours : `${ours} ${own}`;
}

function podSpec({ image, name, runId, options }: WorkloadIdentity, spec: ProcessSpec): object {
  const { variables, files } = entriesOf(spec);
  const { serviceAccount, runAsUser } = options;
  const work = { name: 'work', mountPath: workloadHome };
  return {
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: graceSeconds,
    enableServiceLinks: false,
    automountServiceAccountToken: serviceAccount !== undefined,
    ...(serviceAccount === undefined ? {} : { serviceAccountName: serviceAccount }),
    securityContext: {
      runAsNonRoot: true,
      ...(runAsUser === undefined ? {} : { runAsUser, runAsGroup: runAsUser }),
      fsGroup: fileGroup,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    containers: [
      {
        name: containerName,
        image,
        command: spec.command.map(asItIs),
        workingDir: workloadHome,
        env: [
          ...(spec.environment.has('HOME') ? [] : [{ name: 'HOME', value: workloadHome }]),
          ...variables.map((entry) => ({
            name: entry.name,
            valueFrom: { secretKeyRef: { name, key: entry.key } },
          })),
          { name: 'STRONGROOM_RUN_ID', value: runId },
        ],
        volumeMounts: [
          work,
          ...files.map((file) => ({
            name: 'values',
            mountPath: `${workloadHome}/${file.name}`,
            subPath: file.key,
            readOnly: true,
          })),
        ],
        ...(spec.resources === undefined ? {} : { resources: { requests: requestsOf(spec.resources) } }),
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      },
    ],
    volumes: [
      { name: 'work', emptyDir: {} },
      { name: 'values', secret: { secretName: name, defaultMode: 0o440 } },
    ],
  };
}

/** Kubernetes puts variables where an argument says `$(NAME)`, and takes `$$` for `$`; an argument is in the object and in `ps`. */
function asItIs(argument: string): string {
  return argument.replaceAll('$', () => '$$');
}

/** Quantities of Kubernetes; Spark's letters are powers of two (`4g`, `512m`). */
function requestsOf({ cores, memory }: NonNullable<ProcessSpec['resources']>): Record<string, string> {
  return {
    ...(cores === undefined ? {} : { cpu: String(cores) }),
    ...(memory === undefined
      ? {}
      : { memory: memory.replace(/b$/, '').replace(/[kmgt]$/, (unit) => units[unit] ?? unit) }),
  };
}

const units: Readonly<Record<string, string>> = { k: 'Ki', m: 'Mi', g: 'Gi', t: 'Ti' };

/** By fields that the operator hands to Spark itself, so that its webhook is not needed. */
function sparkSpec({ image, name, options, ...identity }: WorkloadIdentity, spec: ProcessSpec): object {
  const { spark } = spec;
  if (spark === undefined) throw new TypeError('Only a Spark program can be a SparkApplication');
  const { variables } = entriesOf(spec);
  const { sizes = {}, dependencies, properties } = spark;
  const plain = [...properties].filter(([, { isSecret }]) => !isSecret).map(([key, { text }]) => [key, text] as const);
  const shared = {
    labels: allLabels({ image, name, options, ...identity }),
    envSecretKeyRefs: Object.fromEntries(variables.map((entry) => [entry.name, { name, key: entry.key }])),
    secrets: [{ name, path: workloadHome, secretType: 'Generic' }],
    ...(spark.javaOptions === undefined ? {} : { javaOptions: spark.javaOptions }),
  };
  return {
    type: typeOf(spark.mainFile),
    mode: 'cluster',
    image,
    sparkVersion: options.sparkVersion ?? defaultSparkVersion,
    mainApplicationFile: spark.mainFile,
    ...(spark.mainClass === undefined ? {} : { mainClass: spark.mainClass }),
    arguments: spark.arguments.map(asItIs),
    ...(dependencies === undefined ? {} : { deps: dependencies }),
    sparkConf: Object.fromEntries(plain),
    restartPolicy: { type: 'Never' },
    driver: {
      ...shared,
      ...(sizes.driverCores === undefined ? {} : { cores: sizes.driverCores }),
      ...(sizes.driverMemory === undefined ? {} : { memory: sizes.driverMemory }),
      ...(options.serviceAccount === undefined ? {} : { serviceAccount: options.serviceAccount }),
    },
    executor: {
      ...shared,
      ...(sizes.executorCores === undefined ? {} : { cores: sizes.executorCores }),
      ...(sizes.executorMemory === undefined ? {} : { memory: sizes.executorMemory }),
      ...(sizes.executorInstances === undefined ? {} : { instances: sizes.executorInstances }),
    },
  };
}

function typeOf(mainFile: string): 'Python' | 'R' | 'Java' {
  if (/\.py$/i.test(mainFile)) return 'Python';
  return /\.r$/i.test(mainFile) ? 'R' : 'Java';
}
