import type { launchRoutes } from '@strongroom/contract';
import type { HandlersOf } from '../http/handler.ts';
import type { DriftService } from './drift.ts';
import type { LaunchService } from './service.ts';

/** Handlers of launches by workloads, and of drift. */
export function launchHandlers(launches: LaunchService, drift: DriftService): HandlersOf<typeof launchRoutes> {
  return {
    async createLaunch({ caller, scope, body, idempotency }) {
      return { body: await launches.create(caller, scope, body, idempotency) };
    },
    async resolveLaunch({ caller, params, body, signal }) {
      return { body: await launches.resolve(caller, params.id, body.publicKey, signal) };
    },
    async renewLaunch({ caller, params }) {
      return { body: await launches.heartbeat(caller, params.id) };
    },
    async endLaunch({ caller, params }) {
      await launches.end(caller, params.id);
      return {};
    },
    async listDrift({ caller, scope, query }) {
      return { body: await drift.ofDomain(caller, scope, query) };
    },
    async listGlobalDrift({ caller, query }) {
      return { body: await drift.ofGlobal(caller, query) };
    },
  };
}
