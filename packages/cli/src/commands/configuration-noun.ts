import type { DomainSurface } from '@strongroom/contract';
import type { CallInput, CallResult, Client } from '@strongroom/sdk';
import type { Cli } from '../cli.ts';
import { UsageError } from '../errors.ts';
import { listUpTo, wholeOf } from '../lists.ts';

type Output = Cli['output'];

/** What the command line needs of every configuration that it shows. */
export interface Shown {
  readonly name: string;
  readonly domain: string;
  readonly managedBy?: string;
  readonly revision: number;
  readonly warnings: readonly { readonly pointer: string; readonly message: string }[];
  readonly running?: { readonly run: string; readonly state: string; readonly restartRequired: boolean };
}

type Summary = CallResult<'listSparkJobs'>['items'][number];
type RunSummary = CallResult<'listRuns'>['items'][number];
type ListInput = CallInput<'listSparkJobs'>;
type Impact = CallResult<'showStorageConfigImpact'>;
type RunsInput = CallInput<'listSparkJobRuns'>;

/** One kind of configurations, as commands name it and as the API does. */
export interface ConfigurationNoun<One extends Shown = Shown> {
  /** `strongroom WORD …`; also what an argument that names one is called. */
  readonly word: string;
  /** `kind` of a manifest. */
  readonly kind: string;
  readonly show: (client: Client, domain: string, name: string) => Promise<One>;
  readonly create: (client: Client, domain: string, body: unknown) => Promise<One>;
  /** What a creation would make. */
  readonly previewCreation: (client: Client, domain: string, body: unknown) => Promise<One>;
  readonly update: (client: Client, domain: string, name: string, body: unknown, ifMatch: number) => Promise<One>;
  /** What an update would make of it. */
  readonly preview: (client: Client, domain: string, name: string, body: unknown, ifMatch: number) => Promise<One>;
  readonly delete: (client: Client, domain: string, name: string, ifMatch: number, force: boolean) => Promise<unknown>;
  readonly list: (client: Client, output: Output, input: ListInput, limit: number) => Promise<readonly Summary[]>;
  readonly all: (client: Client, input: ListInput) => Promise<readonly Summary[]>;
  /** What deleting it would hit, where other configurations use it. */
  readonly impact?: (client: Client, domain: string, name: string) => Promise<Impact>;
  /** Deleting it keeps it, with the secrets that it owns. */
  readonly canBeRestored?: true;
  /** Where it can be launched. */
  readonly launch?: LaunchCalls;
}

/** A kind that can be launched. */
export interface LaunchNoun<One extends Shown = Shown> extends ConfigurationNoun<One> {
  readonly launch: LaunchCalls;
}

interface LaunchCalls {
  readonly run: (client: Client, domain: string, name: string) => Promise<CallResult<'runSparkJob'>>;
  readonly preflight: (client: Client, domain: string, name: string) => Promise<CallResult<'preflightSparkJob'>>;
  readonly runs: (client: Client, output: Output, input: RunsInput, limit: number) => Promise<readonly RunSummary[]>;
}

const dryRun = { dryRun: true } as const;

type SparkJobBody = CallInput<'createSparkJob'>['body'];
type SparkJobChange = NonNullable<CallInput<'updateSparkJob'>['body']>;

export const jobNoun = {
  word: 'job',
  kind: 'spark-job',
  show: (client, domain, name) => client.showSparkJob({ params: { domain, name } }),
  // The server's schema decides; its errors name each field.
  create: (client, domain, body) => client.createSparkJob({ params: { domain }, body: body as SparkJobBody }),
  previewCreation: (client, domain, body) =>
    client.createSparkJob({ params: { domain }, query: dryRun, body: body as SparkJobBody }),
  update: (client, domain, name, body, ifMatch) =>
    client.updateSparkJob({ params: { domain, name }, body: body as SparkJobChange, ifMatch }),
  preview: (client, domain, name, body, ifMatch) =>
    client.updateSparkJob({ params: { domain, name }, query: dryRun, body: body as SparkJobChange, ifMatch }),
  delete: (client, domain, name, ifMatch, force) =>
    client.deleteSparkJob({ params: { domain, name }, ifMatch, ...(force ? { query: { force } } : {}) }),
  list: (client, output, input, limit) => listUpTo(client, output, 'listSparkJobs', input, limit),
  all: (client, input) => wholeOf(client.items('listSparkJobs', input)),
  launch: {
    run: (client, domain, name) => client.runSparkJob({ params: { domain, name } }),
    preflight: (client, domain, name) => client.preflightSparkJob({ params: { domain, name } }),
    runs: (client, output, input, limit) => listUpTo(client, output, 'listSparkJobRuns', input, limit),
  },
} satisfies LaunchNoun<CallResult<'showSparkJob'>>;

type ComputeClusterBody = CallInput<'createComputeCluster'>['body'];
type ComputeClusterChange = NonNullable<CallInput<'updateComputeCluster'>['body']>;

export const clusterNoun = {
  word: 'cluster',
  kind: 'compute-cluster',
  show: (client, domain, name) => client.showComputeCluster({ params: { domain, name } }),
  // The server's schema decides; its errors name each field.
  create: (client, domain, body) =>
    client.createComputeCluster({ params: { domain }, body: body as ComputeClusterBody }),
  previewCreation: (client, domain, body) =>
    client.createComputeCluster({ params: { domain }, query: dryRun, body: body as ComputeClusterBody }),
  update: (client, domain, name, body, ifMatch) =>
    client.updateComputeCluster({ params: { domain, name }, body: body as ComputeClusterChange, ifMatch }),
  preview: (client, domain, name, body, ifMatch) =>
    client.updateComputeCluster({
      params: { domain, name },
      query: dryRun,
      body: body as ComputeClusterChange,
      ifMatch,
    }),
  delete: (client, domain, name, ifMatch, force) =>
    client.deleteComputeCluster({ params: { domain, name }, ifMatch, ...(force ? { query: { force } } : {}) }),
  list: (client, output, input, limit) => listUpTo(client, output, 'listComputeClusters', input, limit),
  all: (client, input) => wholeOf(client.items('listComputeClusters', input)),
  launch: {
    run: (client, domain, name) => client.runComputeCluster({ params: { domain, name } }),
    preflight: (client, domain, name) => client.preflightComputeCluster({ params: { domain, name } }),
    runs: (client, output, input, limit) => listUpTo(client, output, 'listComputeClusterRuns', input, limit),
  },
} satisfies LaunchNoun<CallResult<'showComputeCluster'>>;

type NotebookBody = CallInput<'createNotebook'>['body'];
type NotebookChange = NonNullable<CallInput<'updateNotebook'>['body']>;

export const notebookNoun = {
  word: 'notebook',
  kind: 'notebook',
  show: (client, domain, name) => client.showNotebook({ params: { domain, name } }),
  // The server's schema decides; its errors name each field.
  create: (client, domain, body) => client.createNotebook({ params: { domain }, body: body as NotebookBody }),
  previewCreation: (client, domain, body) =>
    client.createNotebook({ params: { domain }, query: dryRun, body: body as NotebookBody }),
  update: (client, domain, name, body, ifMatch) =>
    client.updateNotebook({ params: { domain, name }, body: body as NotebookChange, ifMatch }),
  preview: (client, domain, name, body, ifMatch) =>
    client.updateNotebook({ params: { domain, name }, query: dryRun, body: body as NotebookChange, ifMatch }),
  delete: (client, domain, name, ifMatch, force) =>
    client.deleteNotebook({ params: { domain, name }, ifMatch, ...(force ? { query: { force } } : {}) }),
  list: (client, output, input, limit) => listUpTo(client, output, 'listNotebooks', input, limit),
  all: (client, input) => wholeOf(client.items('listNotebooks', input)),
  launch: {
    run: (client, domain, name) => client.runNotebook({ params: { domain, name } }),
    preflight: (client, domain, name) => client.preflightNotebook({ params: { domain, name } }),
    runs: (client, output, input, limit) => listUpTo(client, output, 'listNotebookRuns', input, limit),
  },
} satisfies LaunchNoun<CallResult<'showNotebook'>>;

type StorageConfigBody = CallInput<'createStorageConfig'>['body'];
type StorageConfigChange = NonNullable<CallInput<'updateStorageConfig'>['body']>;

export const storageNoun = {
  word: 'storage',
  kind: 'storage-config',
  show: (client, domain, name) => client.showStorageConfig({ params: { domain, name } }),
  // The server's schema decides; its errors name each field.
  create: (client, domain, body) => client.createStorageConfig({ params: { domain }, body: body as StorageConfigBody }),
  previewCreation: (client, domain, body) =>
    client.createStorageConfig({ params: { domain }, query: dryRun, body: body as StorageConfigBody }),
  update: (client, domain, name, body, ifMatch) =>
    client.updateStorageConfig({ params: { domain, name }, body: body as StorageConfigChange, ifMatch }),
  preview: (client, domain, name, body, ifMatch) =>
    client.updateStorageConfig({ params: { domain, name }, query: dryRun, body: body as StorageConfigChange, ifMatch }),
  delete: (client, domain, name, ifMatch, force) =>
    client.deleteStorageConfig({ params: { domain, name }, ifMatch, ...(force ? { query: { force } } : {}) }),
  list: (client, output, input, limit) => listUpTo(client, output, 'listStorageConfigs', input, limit),
  all: (client, input) => wholeOf(client.items('listStorageConfigs', input)),
  impact: (client, domain, name) => client.showStorageConfigImpact({ params: { domain, name } }),
} satisfies ConfigurationNoun<CallResult<'showStorageConfig'>>;

type ConnectionBody = CallInput<'createConnection'>['body'];
type ConnectionChange = NonNullable<CallInput<'updateConnection'>['body']>;

export const connectionNoun = {
  word: 'connection',
  kind: 'connection',
  canBeRestored: true,
  show: (client, domain, name) => client.showConnection({ params: { domain, name } }),
  // The server's schema decides; its errors name each field.
  create: (client, domain, body) =>
    client.createConnection({ params: { domain }, body: placeCredentials(body) as ConnectionBody }),
  previewCreation: (client, domain, body) =>
    client.createConnection({ params: { domain }, query: dryRun, body: placeCredentials(body) as ConnectionBody }),
  update: (client, domain, name, body, ifMatch) =>
    client.updateConnection({ params: { domain, name }, body: placeCredentials(body) as ConnectionChange, ifMatch }),
  preview: (client, domain, name, body, ifMatch) =>
    client.updateConnection({
      params: { domain, name },
      query: dryRun,
      body: placeCredentials(body) as ConnectionChange,
      ifMatch,
    }),
  delete: (client, domain, name, ifMatch, force) =>
    client.deleteConnection({ params: { domain, name }, ifMatch, ...(force ? { query: { force } } : {}) }),
  list: (client, output, input, limit) => listUpTo(client, output, 'listConnections', input, limit),
  all: (client, input) => wholeOf(client.items('listConnections', input)),
} satisfies ConfigurationNoun<CallResult<'showConnection'>>;

/** `--credential config.authType.password=FILE` comes as a field of that name; it belongs into the config. */
export function placeCredentials(body: unknown): unknown {
  const result = structuredClone(body) as Record<string, unknown>;
  for (const [name, value] of Object.entries(result)) {
    const [first, ...path] = name.split('.');
    const last = path.pop();
    if (first !== 'config' || last === undefined) continue;
    delete result[name];
    let place = (result['config'] ??= {}) as Record<string, unknown>;
    for (const part of path) {
      // Items of a list are named by their id.
      const next: unknown = Array.isArray(place)
        ? place.find((item: unknown) => (Object(item) as { readonly id?: unknown }).id === part)
        : Object.hasOwn(place, part)
          ? place[part]
          : (place[part] = {});
      if (typeof next !== 'object' || next === null) throw new UsageError(`--credential: the config has no ${name}`);
      place = next as Record<string, unknown>;
    }
    Object.defineProperty(place, last, { value, enumerable: true, configurable: true, writable: true });
  }
  return result;
}

/** By surface; a new one of the contract does not compile until it is here. */
const bySurface = {
  'spark-job': jobNoun,
  'compute-cluster': clusterNoun,
  notebook: notebookNoun,
  'storage-config': storageNoun,
  connection: connectionNoun,
} satisfies Readonly<Record<DomainSurface, ConfigurationNoun>>;

/** All kinds, by the `kind` of their manifests. */
export const nouns: ReadonlyMap<string, ConfigurationNoun> = new Map(Object.entries(bySurface));
