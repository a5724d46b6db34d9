import type { profileRoutes } from '@strongroom/contract';
import type { HandlersOf } from '../../http/handler.ts';
import type { Profiles } from './service.ts';

export function profileHandlers(profiles: Profiles): HandlersOf<typeof profileRoutes> {
  return {
    async createProfile({ caller, body, idempotency }) {
      const view = await profiles.create(caller, body, idempotency);
      return { body: view, etag: view.revision };
    },
    async listProfiles({ caller, query }) {
      return { body: await profiles.list(caller, query) };
    },
    async showProfile({ caller, params }) {
      const view = await profiles.get(caller, params.profile);
      return { body: view, etag: view.revision };
    },
    async updateProfile({ caller, params, body, ifMatch }) {
      const view = await profiles.update(caller, params.profile, body, ifMatch);
      return { body: view, etag: view.revision };
    },
    async deleteProfile({ caller, params, ifMatch }) {
      await profiles.delete(caller, params.profile, ifMatch);
      return {};
    },
    async listDomainProfiles({ caller, scope, query }) {
      return { body: await profiles.boundTo(caller, scope, query) };
    },
  };
}
