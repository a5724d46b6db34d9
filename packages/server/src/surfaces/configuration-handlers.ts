import { type Caller, type ScopeRef, type AssetRef } from '../access/types.ts';
import { preflight } from '../launches/preflight.ts';
import type { Resolver } from '../launches/resolve.ts';
import type { RunReader, RunQuery } from '../runs/reader.ts';
import type { RunService } from '../runs/service.ts';
import type { IdempotencyKey, Store } from '../store/store.ts';
import type { ConfigurationQuery, ShownConfiguration } from './configuration-views.ts';
import type { Attempt, FormTester } from './form-test.ts';
import type { ConfigurationService } from './service.ts';

/** What every kind of configurations does with its routes; each surface's `routes.ts` gives these to its operations. */

interface SavedInput {
  readonly bundle?: string;
  readonly managedBy?: string;
}

interface Asked {
  readonly caller: Caller;
  readonly scope: ScopeRef;
}

interface AskedOne {
  readonly caller: Caller;
  readonly asset: AssetRef;
  readonly ifMatch: number | undefined;
}

/** @param show the surface's own part of an answer */
export function configurationHandlers<Input extends SavedInput, Document, Own>(
  configurations: ConfigurationService<Input, Document>,
  show: (document: Document) => Own,
) {
  const saveOf = (input: Input) => ({ input, bundle: input.bundle, managedBy: input.managedBy });
  const reply = ({ document, warnings, running, ...view }: ShownConfiguration<Document>) => ({
    body: { ...view, ...show(document), ...(running === undefined ? {} : { running }), warnings },
    etag: view.revision,
  });
  return {
    create: async (
      request: Asked & {
        query: { dryRun?: boolean };
        body: Input & { name: string };
        idempotency: IdempotencyKey | undefined;
      },
    ) => {
      const { caller, scope, query, body, idempotency } = request;
      if (query.dryRun === true)
        return { body: reply(await configurations.previews.creation(caller, scope, body.name, saveOf(body))).body };
      return reply(await configurations.create(caller, scope, body.name, saveOf(body), idempotency));
    },
    list: async ({ caller, scope, query }: Asked & { query: ConfigurationQuery }) => {
      return { body: await configurations.list(caller, scope, query) };
    },
    show: async ({ caller, asset }: Pick<AskedOne, 'caller' | 'asset'>) => {
      return reply(await configurations.get(caller, asset));
    },
    update: async (request: AskedOne & { query: { dryRun?: boolean }; body: Input }) => {
      const { caller, asset, query, body, ifMatch } = request;
      if (query.dryRun === true) {
        // The ETag of what is not there yet would be nobody's.
        return { body: reply(await configurations.previews.update(caller, asset, saveOf(body), ifMatch)).body };
      }
      return reply(await configurations.update(caller, asset, saveOf(body), ifMatch));
    },
    suspend: async ({ caller, asset, body, ifMatch }: AskedOne & { body: { suspended: boolean } }) => {
      return reply(await configurations.suspend(caller, asset, body.suspended, ifMatch));
    },
    delete: async ({ caller, asset, query, ifMatch }: AskedOne & { query: { force?: boolean } }) => {
      await configurations.delete(caller, asset, ifMatch, query.force === true);
      return {};
    },
  };
}

/** For kinds that can be tried; @param attempt what is tried with a form */
export function formTestHandlers<Input, Document>(tester: FormTester<Input, Document>, attempt: Attempt<Document>) {
  return {
    testForm: async ({ caller, scope, body, signal }: Asked & { body: Input; signal: AbortSignal }) => {
      return { body: await tester.test(caller, scope, { input: body, signal }, attempt) };
    },
    test: async ({ caller, asset, body, signal }: AskedOne & { body: Input; signal: AbortSignal }) => {
      const request = { input: body, saved: asset.name, signal };
      return { body: await tester.test(caller, asset.scope, request, attempt) };
    },
    preflight: async ({ caller, asset, signal }: Pick<AskedOne, 'caller' | 'asset'> & { signal: AbortSignal }) => {
      return { body: await tester.preflight(caller, asset.scope, asset.name, signal) };
    },
  };
}

export interface LaunchHandlerParts {
  readonly store: Store;
  readonly resolver: Resolver;
  readonly runs: RunService;
  readonly reader: RunReader;
}

/** What every kind does that can be launched; the same for all. */
export function launchableHandlers({ store, resolver, runs, reader }: LaunchHandlerParts) {
  return {
    preflight: async ({ caller, asset, signal }: Pick<AskedOne, 'caller' | 'asset'> & { signal: AbortSignal }) => {
      return { body: await preflight({ store, resolver, runs }, caller, asset, signal) };
    },
    run: async (request: Pick<AskedOne, 'caller' | 'asset'> & { idempotency: IdempotencyKey | undefined }) => {
      return { body: await runs.start(request.caller, request.asset, request.idempotency) };
    },
    listRuns: async ({ caller, asset, query }: Pick<AskedOne, 'caller' | 'asset'> & { query: RunQuery }) => {
      return { body: await reader.ofConfiguration(caller, asset, query) };
    },
  };
}
