import { openapi, type operationRoutes, routes } from '@strongroom/contract';
import type { HandlersOf } from '../http/handler.ts';
import { type DoctorParts, runDoctor } from './doctor.ts';
import type { Metrics } from './metrics.ts';
import type { Readiness } from './readiness.ts';
import type { SettingsService } from './settings-service.ts';
import { version } from './version.ts';

export interface OperationParts {
  readonly readiness: Readiness;
  readonly metrics: Metrics;
  readonly settings: SettingsService;
  readonly doctor: DoctorParts;
}

export function operationHandlers(parts: OperationParts): HandlersOf<typeof operationRoutes> {
  let document: string | undefined;
  return {
    async checkHealth() {
      return { body: { status: 'ok' } };
    },
    async checkReadiness() {
      const names = await parts.readiness.check();
      return { body: { status: 'ready', dependencies: names.map((name) => ({ name, status: 'ok' as const })) } };
    },
    async showMetrics() {
      return { stream: await parts.metrics.text() };
    },
    async showOpenapiDocument() {
      document ??= JSON.stringify(openapi(routes, version));
      return { stream: document };
    },
    async showSettings() {
      const { view, revision } = await parts.settings.show();
      return { body: view, etag: revision };
    },
    async updateSettings({ caller, body, query, ifMatch }) {
      const { view, revision } = await parts.settings.update(caller, body, {
        expectedRevision: ifMatch,
        force: query.force === true,
      });
      return { body: view, etag: revision };
    },
    async runDoctor() {
      return { body: await runDoctor(parts.doctor) };
    },
  };
}
