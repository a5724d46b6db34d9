import type { sparkJobRoutes } from '@strongroom/contract';
import type { HandlersOf } from '../../http/handler.ts';
import { preflight } from '../../launches/preflight.ts';
import type { Resolver } from '../../launches/resolve.ts';
import type { RunReader } from '../../runs/reader.ts';
import type { RunService } from '../../runs/service.ts';
import type { Store } from '../../store/store.ts';
import type { ConfigurationService, SaveInput, ShownConfiguration } from '../service.ts';
import { sparkJobSurface } from './definition.ts';
import type { SparkJobDocument, SparkJobInput } from './document.ts';

export type SparkJobs = ConfigurationService<SparkJobInput, SparkJobDocument>;

export interface SparkJobParts {
  readonly store: Store;
  readonly jobs: SparkJobs;
  readonly resolver: Resolver;
  readonly runs: RunService;
  readonly reader: RunReader;
}

/** Handlers of Spark jobs. */
export function sparkJobHandlers({
  store,
  jobs,
  resolver,
  runs,
  reader,
}: SparkJobParts): HandlersOf<typeof sparkJobRoutes> {
  return {
    async createSparkJob({ caller, scope, body, idempotency }) {
      return reply(await jobs.create(caller, scope, body.name, saveOf(body), idempotency));
    },
    async listSparkJobs({ caller, scope, query }) {
      return { body: await jobs.list(caller, scope, query) };
    },
    async showSparkJob({ caller, asset }) {
      return reply(await jobs.get(caller, asset));
    },
    async updateSparkJob({ caller, asset, body, ifMatch }) {
      return reply(await jobs.update(caller, asset, saveOf(body), ifMatch));
    },
    async suspendSparkJob({ caller, asset, body, ifMatch }) {
      return reply(await jobs.suspend(caller, asset, body.suspended, ifMatch));
    },
    async deleteSparkJob({ caller, asset, ifMatch }) {
      await jobs.delete(caller, asset, ifMatch);
      return {};
    },
    async preflightSparkJob({ caller, asset, signal }) {
      return { body: await preflight({ store, resolver, runs }, sparkJobSurface, caller, asset, signal) };
    },
    async runSparkJob({ caller, asset, idempotency }) {
      return { body: await runs.start(caller, asset, idempotency) };
    },
    async listSparkJobRuns({ caller, asset, query }) {
      return { body: await reader.ofConfiguration(caller, asset, query) };
    },
  };
}

function saveOf(input: SparkJobInput): SaveInput<SparkJobInput> {
  return { input, bundle: input.bundle, managedBy: input.managedBy };
}

function reply({ document, warnings, ...view }: ShownConfiguration<SparkJobDocument>) {
  const { environment, sparkConfig, files, command, storageConfigs, ...rest } = document;
  const body = {
    ...view,
    ...rest,
    ...(command === undefined ? {} : { command: [...command] }),
    ...(storageConfigs === undefined ? {} : { storageConfigs: [...storageConfigs] }),
    environment: [...environment],
    sparkConfig: [...sparkConfig],
    files: [...files],
    warnings: [...warnings],
  };
  return { body, etag: view.revision };
}
