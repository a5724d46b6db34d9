import { type operationRoutes, type ResponseOf, StrongroomError } from '@strongroom/contract';
import type { AccessService } from '../access/service.ts';
import type { Caller } from '../access/types.ts';
import type { Settings } from '../config/settings.ts';
import { defaultLogShape } from '../runs/log-file.ts';
import type { Store } from '../store/store.ts';
import type { Features, FeatureState } from './features.ts';
import { version } from './version.ts';

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

  /** @throws StrongroomError `state_conflict` when the configuration sets the flag; `revision_mismatch` */
  async update(
    caller: Caller,
    isEnabled: boolean,
    expectedRevision: number | undefined,
  ): Promise<{ readonly view: SettingsView; readonly revision: number }> {
    if ((await this.#features.read('secretsV2')).setBy === 'configuration')
      throw new StrongroomError('state_conflict', {
        detail: 'features.secretsV2.enabled is set in the configuration of the server.',
        hint: 'Remove STRONGROOM_FEATURES_SECRETSV2_ENABLED (or the line of the configuration file) and restart, then it can be set here.',
      });
    await this.#access.decided(caller, async (current) => {
      await this.#access.require(current, 'settings.manage', { kind: 'platform' });
      return this.#store.execute(
        'operation.setFeature',
        { name: 'secretsV2', isEnabled, expectedRevision: expectedRevision ?? null, by: caller.id },
        {
          expectAuthorisationRevision: current.snapshot.revision,
          audit: [
            {
              principal: caller.id,
              principalName: caller.name,
              action: 'settings.manage',
              outcome: 'allowed',
              requestId: caller.requestId,
              network: caller.network,
              because: ['features.secretsV2.enabled'],
              detail: { enabled: isEnabled },
            },
          ],
        },
      );
    });
    return this.show();
  }

  #view(state: FeatureState): { readonly view: SettingsView; readonly revision: number } {
    const { limits, runner, database } = this.#settings;
    const { anonymousRequestsPerMinute: _, ...shown } = limits;
    const view = {
      version,
      features: { secretsV2: { enabled: state.isEnabled, setBy: state.setBy } },
      limits: { ...shown, runLogBytes: defaultLogShape.headBytes + defaultLogShape.ringBytes },
      runner,
      store: database.kind,
    };
    return { view, revision: state.revision };
  }
}
