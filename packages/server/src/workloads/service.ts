import { type ResponseOf, StrongroomError, type workloadRoutes } from '@strongroom/contract';
import type { Caller, ScopeRef } from '../access/types.ts';
import type { HandlersOf } from '../http/handler.ts';
import { actorOf } from '../identities/actor.ts';
import { type ManagingAccess, requireMayActAs, writeAsManager } from '../identities/authority.ts';
import { readPrincipal } from '../identities/users.ts';
import { time } from '../secrets/metadata.ts';
import { newId } from '../store/ids.ts';
import type { IdempotencyKey, Store } from '../store/store.ts';
import type { ListedWorkload } from './queries.ts';

type View = ResponseOf<Extract<(typeof workloadRoutes)[number], { readonly id: 'bindWorkload' }>>;

interface Subject {
  readonly cluster: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly uid: string;
}

/** Which pods act as a domain's service account. To bind some is worth a token of the account, and for the same people. */
export class Workloads {
  readonly #store: Store;
  readonly #access: ManagingAccess;

  constructor(store: Store, access: ManagingAccess) {
    this.#store = store;
    this.#access = access;
  }

  /** @throws StrongroomError `not_found`, `permission_missing`, `validation_failed`, `already_exists`, `limit_exceeded` */
  async bind(
    caller: Caller,
    scope: ScopeRef,
    accountId: string,
    subject: Subject,
    idempotency?: IdempotencyKey,
  ): Promise<View> {
    const { id } = await writeAsManager(
      this.#access,
      caller,
      scope,
      (options) =>
        this.#store.execute(
          'workloads.bind',
          { ...subject, id: newId('workload'), ...ownerOf(caller, scope, accountId) },
          options,
        ),
      idempotency,
      async (current) => {
        await readPrincipal(this.#store, 'service-account', accountId, scope.id);
        await requireMayActAs(this.#access, current, scope, accountId);
      },
    );
    const [row] = await this.#store.query('workloads.list', { principalId: accountId, id });
    if (row === undefined) throw new StrongroomError('not_found');
    return workloadView(row);
  }

  /** @throws StrongroomError `not_found` */
  async list(scope: ScopeRef, accountId: string): Promise<View[]> {
    await readPrincipal(this.#store, 'service-account', accountId, scope.id);
    return (await this.#store.query('workloads.list', { principalId: accountId })).map(workloadView);
  }

  /** Raises nobody, so that it is for all who manage access. @throws StrongroomError `not_found` */
  async unbind(caller: Caller, scope: ScopeRef, accountId: string, id: string): Promise<void> {
    await writeAsManager(this.#access, caller, scope, (options) =>
      this.#store.execute('workloads.unbind', { id, ...ownerOf(caller, scope, accountId) }, options),
    );
  }
}

export function workloadHandlers(workloads: Workloads): HandlersOf<typeof workloadRoutes> {
  return {
    async bindWorkload({ caller, scope, params, body, idempotency }) {
      return { body: await workloads.bind(caller, scope, params.serviceAccount, body, idempotency) };
    },
    async listWorkloads({ scope, params }) {
      return { body: { items: await workloads.list(scope, params.serviceAccount) } };
    },
    async unbindWorkload({ caller, scope, params }) {
      await workloads.unbind(caller, scope, params.serviceAccount, params.workload);
      return {};
    },
  };
}

function ownerOf(caller: Caller, scope: ScopeRef, serviceAccountId: string) {
  return { actor: actorOf(caller), scope: { id: scope.id, name: scope.name }, serviceAccountId };
}

function workloadView({ createdAt, ...row }: ListedWorkload): View {
  return { ...row, createdAt: time(createdAt) };
}
