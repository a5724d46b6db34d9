import type { runRoutes } from '@strongroom/contract';
import type { AccessService } from '../access/service.ts';
import type { HandlersOf } from '../http/handler.ts';
import { untilAborted } from '../http/until-aborted.ts';
import { launchableOf } from '../surfaces/registry.ts';
import type { RunReader } from './reader.ts';
import type { Redeployer } from './redeploy.ts';
import type { RunService } from './service.ts';

/** Handlers of the runs of a domain. */
export function runHandlers(
  runs: RunService,
  reader: RunReader,
  redeployer: Redeployer,
  access: AccessService,
): HandlersOf<typeof runRoutes> {
  return {
    async listRuns({ caller, scope, query }) {
      return { body: await reader.ofDomain(caller, scope, query) };
    },
    async showRun({ caller, scope, params }) {
      return { body: await reader.get(caller, scope, params.id) };
    },
    async showRunLog({ caller, scope, params, query, signal }) {
      const { row } = await reader.find(caller, scope, params.id);
      return { stream: untilAborted(await runs.log(row, query.follow ?? false, signal), signal) };
    },
    async stopRun({ caller, scope, params }) {
      const { row, asset } = await reader.find(caller, scope, params.id);
      await access.require(caller, launchableOf(asset.type).launch.action, { kind: 'asset', asset });
      await runs.stop(row, caller, scope);
      return { body: { id: row.id, state: row.state } };
    },
    async redeployDrift({ caller, scope, body, signal }) {
      return { body: await redeployer.redeploy(caller, scope, body, signal) };
    },
  };
}
