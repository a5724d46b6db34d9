import { type operationRoutes, type ResponseOf, type StoreName, StrongroomError } from '@strongroom/contract';
import type { AccessService } from '../access/service.ts';
import type { Caller } from '../access/types.ts';
import type { AuditEvent } from '../audit/event.ts';
import type { Settings } from '../config/settings.ts';
import { actorOf } from '../identities/actor.ts';
import { requireConfigured } from '../managed-stores/choice.ts';
import { choiceEvent } from '../managed-stores/choice-event.ts';
import { sourceTypeOf, storeNameOf } from '../managed-stores/store-names.ts';
import { defaultLogShape } from '../runs/log-file.ts';
import { adminScopeId, globalScopeId } from '../store/ids.ts';
import type { Store } from '../store/store.ts';
import type { Features, FeatureState } from './features.ts';
import { version } from './version.ts';

/** What may be changed; what is absent stays. */
export interface SettingsChanges {
  readonly features?: { readonly secretsV2: { readonly enabled: boolean } };
  readonly managedStores?: { readonly admin?: StoreName; readonly global?: StoreName };
}

const scopeIds = { admin: adminScopeId, global: globalScopeId } as const;

type SettingsView = ResponseOf<Extract<(typeof operationRoutes)[number], { readonly id: 'showSettings' }>>;

/** What everybody may know about how this installation is set up, and the flags an administrator may change. */
export class SettingsService {
  readonly #store: Store;
  readonly #access: AccessService;
  readonly #features: Features;
  readonly #settings: Settings;

  constructor(store: Store, access: AccessService, features: Features, settings: Settings) {
    this.#store = store;
    this.#access = access;
    this.#features = features;
    this.#settings = settings;
  }

  async show(): Promise<{ readonly view: SettingsView; readonly revision: number }> {
    return this.#view(await this.#features.read('secretsV2'));
  }

  /**
   * @throws StrongroomError `state_conflict` when the configuration sets it, or a scope holds secrets; `revision_mismatch`;
   * `validation_failed` for a store that this server can't reach
   */
  async update(
    caller: Caller,
    { features, managedStores = {} }: SettingsChanges,
    { expectedRevision, force = false }: { readonly expectedRevision?: number | undefined; readonly force?: boolean },
  ): Promise<{ readonly view: SettingsView; readonly revision: number }> {
    const chosen = Object.entries(managedStores) as ['admin' | 'global', StoreName][];
    for (const [name, store] of chosen) this.#requireFree(name, store);
    if (features !== undefined && (await this.#features.read('secretsV2')).setBy === 'configuration')
      throw setInConfiguration('features.secretsV2.enabled', 'STRONGROOM_FEATURES_SECRETSV2_ENABLED');
    await this.#access.decided(caller, async (current) => {
      await this.#access.require(current, 'settings.manage', { kind: 'platform' });
      const expectAuthorisationRevision = current.snapshot.revision;
      const choices = chosen.map(([name, store]) => {
        const id = scopeIds[name];
        return { scopeId: id, type: sourceTypeOf(store), audit: choiceEvent(actorOf(caller), { id, name }, store) };
      });
      await this.#store.execute(
        'operation.updateSettings',
        {
          choices,
          feature:
            features === undefined
              ? null
              : { name: 'secretsV2', isEnabled: features.secretsV2.enabled, by: caller.id, force },
          expectedRevision: expectedRevision ?? null,
        },
        {
          expectAuthorisationRevision,
          audit: features === undefined ? [] : [featureEvent(caller, features.secretsV2.enabled, force)],
        },
      );
    });
    return this.show();
  }

  #requireFree(name: 'admin' | 'global', store: StoreName): void {
    const { managed } = this.#settings;
    requireConfigured(store, managed, `/managedStores/${name}`);
    if (managed.stores[name] !== undefined)
      throw setInConfiguration(
        `stores.${name}`,
        `STRONGROOM_STORES_${name.toUpperCase()} or STRONGROOM_STORES_DEFAULT`,
      );
  }

  async #managedStores(): Promise<SettingsView['managedStores']> {
    const { stores } = this.#settings.managed;
    const sources = await this.#store.db
      .selectFrom('sources')
      .select(['scope_id', 'type'])
      .where('scope_id', 'in', Object.values(scopeIds))
      .where('name', '=', 'managed')
      .execute();
    const state = (name: 'admin' | 'global') => {
      const type = sources.find(({ scope_id }) => scope_id === scopeIds[name])?.type ?? 'DATABASE';
      const setBy = stores[name] !== undefined ? 'configuration' : type === 'DATABASE' ? 'default' : 'api';
      return { store: storeNameOf(type), setBy } as const;
    };
    const { domains } = stores;
    return {
      admin: state('admin'),
      global: state('global'),
      domains: { store: domains ?? 'database', setBy: domains === undefined ? 'default' : 'configuration' },
    };
  }

  async #view(state: FeatureState): Promise<{ readonly view: SettingsView; readonly revision: number }> {
    const { limits, runner, database } = this.#settings;
    const { anonymousRequestsPerMinute: _, ...shown } = limits;
    const view = {
      version,
      features: { secretsV2: { enabled: state.isEnabled, setBy: state.setBy } },
      limits: { ...shown, runLogBytes: defaultLogShape.headBytes + defaultLogShape.ringBytes },
      runner,
      managedStores: await this.#managedStores(),
      store: database.kind,
    };
    return { view, revision: state.revision };
  }
}

function setInConfiguration(setting: string, variable: string): StrongroomError {
  return new StrongroomError('state_conflict', {
    detail: `${setting} is set in the configuration of the server.`,
    hint: `Remove ${variable} (or the line of the configuration file) and restart, then it can be set here.`,
  });
}

function featureEvent(caller: Caller, isEnabled: boolean, isForced: boolean): AuditEvent {
  return {
    ...actorOf(caller),
    action: 'settings.manage',
    outcome: 'allowed',
    because: ['features.secretsV2.enabled'],
    detail: { enabled: isEnabled, ...(isForced ? { forced: true } : {}) },
  };
}
