import { StrongroomError } from '@strongroom/contract';
import type { Caller } from '../access/types.ts';
import type { ShownConfiguration } from './configuration-views.ts';
import { adminScope } from './platform-use.ts';
import type { ConfigurationService } from './service.ts';

interface Asked {
  readonly caller: Caller;
  readonly ifMatch: number | undefined;
}

/**
 * What every configuration of the platform does with its routes: there is one, under its surface's own name.
 * @param check of an input before it is saved, beyond its shape
 */
export function platformHandlers<Input, Document, Own>(
  service: ConfigurationService<Input, Document>,
  show: (document: Document) => Own | Promise<Own>,
  check: (input: Input) => Promise<void>,
) {
  const target = { scope: adminScope, name: service.surface.type };
  const reply = async (shown: ShownConfiguration<Document>) => {
    const { id, revision, createdAt, createdBy, updatedAt, updatedBy, actions, warnings, document } = shown;
    // Its four actions are two.
    const distinct = [...new Map(actions.map((action) => [action.action, action])).values()];
    const own = { id, revision, createdAt, createdBy, updatedAt, updatedBy, actions: distinct, warnings };
    return { body: { ...own, ...(await show(document)) }, etag: revision };
  };
  const putOr = async <Result>(
    { ifMatch }: Asked,
    replace: () => Promise<Result>,
    make: () => Promise<Result>,
  ): Promise<Result> => {
    try {
      return await replace();
    } catch (error) {
      if (!(error instanceof StrongroomError && error.code === 'not_found')) throw error;
    }
    if (ifMatch !== undefined) throw new StrongroomError('revision_mismatch', { detail: 'There is none yet.' });
    return make();
  };
  const { scope, name } = target;
  const put = (asked: Asked, input: Input) =>
    putOr(
      asked,
      () => service.update(asked.caller, target, { input }, asked.ifMatch),
      () => service.create(asked.caller, scope, name, { input }),
    );
  const preview = (asked: Asked, input: Input) =>
    putOr(
      asked,
      () => service.previews.update(asked.caller, target, { input }, asked.ifMatch),
      () => service.previews.creation(asked.caller, scope, name, { input }),
    );
  return {
    show: async ({ caller }: Pick<Asked, 'caller'>) => reply(await service.get(caller, target)),
    put: async (request: Asked & { readonly query: { readonly dryRun?: boolean }; readonly body: Input }) => {
      const { caller, query, body, ifMatch } = request;
      await check(body);
      if (query.dryRun === true) return { body: (await reply(await preview({ caller, ifMatch }, body))).body };
      return reply(await put(request, request.body));
    },
    delete: async ({ caller, ifMatch }: Asked) => {
      await service.delete(caller, target, ifMatch);
      return {};
    },
  };
}
