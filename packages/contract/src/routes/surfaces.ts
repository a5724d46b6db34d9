import { type TProperties, Type } from 'typebox';
import { Label } from '../names.ts';
import { Closed, Page, pageQuery, route } from '../route.ts';
import { surfaceActions } from '../surfaces/actions.ts';
import { ComputeCluster, ComputeClusterCreate, ComputeClusterUpdate } from '../surfaces/compute-cluster.ts';
import { Notebook, NotebookCreate, NotebookUpdate } from '../surfaces/notebook.ts';
import { SparkJob, SparkJobCreate, SparkJobUpdate } from '../surfaces/spark-job.ts';
import { StorageConfig, StorageConfigCreate, StorageConfigUpdate } from '../surfaces/storage-config.ts';
import {
  configurationRoutes,
  formTestRoutes,
  launchableRoutes,
  preflightRoute,
  suspendRoute,
} from './configuration-routes.ts';

const sparkJob = { noun: 'SparkJob', plural: 'SparkJobs', path: 'spark-jobs', title: 'Spark job' } as const;
const ofSparkJobs = surfaceActions['spark-job'];
export const sparkJobRoutes = [
  ...configurationRoutes(sparkJob, ofSparkJobs, { create: SparkJobCreate, update: SparkJobUpdate, shown: SparkJob }),
  suspendRoute(sparkJob, ofSparkJobs.suspend, SparkJob),
  ...launchableRoutes(sparkJob, ofSparkJobs),
] as const;

const computeCluster = {
  noun: 'ComputeCluster',
  plural: 'ComputeClusters',
  path: 'compute-clusters',
  title: 'compute cluster',
} as const;
const ofComputeClusters = surfaceActions['compute-cluster'];
export const computeClusterRoutes = [
  ...configurationRoutes(computeCluster, ofComputeClusters, {
    create: ComputeClusterCreate,
    update: ComputeClusterUpdate,
    shown: ComputeCluster,
  }),
  ...launchableRoutes(computeCluster, ofComputeClusters),
] as const;

const notebook = { noun: 'Notebook', plural: 'Notebooks', path: 'notebooks', title: 'notebook' } as const;
const ofNotebooks = surfaceActions.notebook;
export const notebookRoutes = [
  ...configurationRoutes(notebook, ofNotebooks, { create: NotebookCreate, update: NotebookUpdate, shown: Notebook }),
  ...launchableRoutes(notebook, ofNotebooks),
] as const;

const storageConfig = {
  noun: 'StorageConfig',
  plural: 'StorageConfigs',
  path: 'storage-configs',
  title: 'storage configuration',
} as const;
export const storageConfigRoutes = [
  ...configurationRoutes(storageConfig, surfaceActions['storage-config'], {
    create: StorageConfigCreate,
    update: StorageConfigUpdate,
    shown: StorageConfig,
  }),
  ...formTestRoutes(storageConfig, surfaceActions['storage-config'], StorageConfigUpdate),
  preflightRoute(storageConfig, surfaceActions['storage-config'].consume, 'who consumes it'),
] as const;

/** The same under all three scopes, as secrets are. */
function referenceRoutesUnder<const Kind extends 'Admin' | 'Global' | 'Domain', const Scope extends TProperties>(
  kind: Kind,
  base: string,
  scope: Scope,
) {
  return [
    route({
      id: `list${kind}ReferenceUses`,
      method: 'GET',
      path: `${base}/used-by`,
      summary: 'Where a reference is used, down to the field: configurations, and what else of the scope holds it',
      tag: 'surfaces',
      access: { kind: 'scope', action: 'secret.list' },
      // As everything of the admin scope.
      feature: kind === 'Admin' ? 'secretsV2' : undefined,
      params: Closed({ ...scope }),
      query: Closed({
        reference: Type.String({
          minLength: 1,
          maxLength: 2048,
          description: 'URI form; without a field also the uses of its fields',
        }),
        limit: pageQuery.limit,
        cursor: pageQuery.cursor,
      }),
      status: 200,
      response: Page(
        Closed({
          domain: Type.String({ description: 'admin, global, or the domain' }),
          surface: Type.String({ description: 'A kind of configuration; cluster, or notices of a scope' }),
          configuration: Type.Optional(Type.String({ description: 'Absent where the caller may not see it' })),
          name: Type.String({ description: 'The variable, property or file' }),
          pointer: Type.String(),
          reference: Type.String(),
          kind: Type.Enum(['reference', 'placeholder']),
          suspended: Type.Boolean(),
        }),
      ),
      errors: ['reference_malformed', 'cursor_invalid'],
    }),
  ] as const;
}

export const referenceRoutes = [
  ...referenceRoutesUnder('Admin', '/v1/admin', {}),
  ...referenceRoutesUnder('Global', '/v1/global', {}),
  ...referenceRoutesUnder('Domain', '/v1/domains/{domain}', { domain: Label }),
] as const;
