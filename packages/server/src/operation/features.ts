import type { FeatureName } from '@strongroom/contract';
import type { Settings } from '../config/settings.ts';
import type { MaybePromise } from '../store/maybe-promise.ts';
import { hotStatement, type Store } from '../store/store.ts';
import { featureKey } from './commands.ts';

export interface FeatureState {
  readonly isEnabled: boolean;
  readonly setBy: 'default' | 'configuration' | 'api';
  /** Of the row in the database; 0 while the API has set nothing. */
  readonly revision: number;
}

const settingByKey = hotStatement<{ readonly value: string; readonly revision: number }>(
  'operation.setting_by_key',
  (db) => db.selectFrom('settings').select(['value', 'revision']).where('key', '=', '').compile(),
);

/** How long another replica may go on with the flag as it was. */
const believedMilliseconds = 1_000;

/** Which features are on: the configuration's word when it has one, else the API's, else the default. */
export class Features {
  readonly #store: Pick<Store, 'first'>;
  readonly #configured: Settings['features'];
  readonly #known = new Map<FeatureName, { readonly state: FeatureState; readonly until: number }>();

  constructor(store: Pick<Store, 'first'>, configured: Settings['features']) {
    this.#store = store;
    this.#configured = configured;
  }

  isEnabled(name: FeatureName): MaybePromise<boolean> {
    const known = this.#known.get(name);
    if (known !== undefined && performance.now() < known.until) return known.state.isEnabled;
    return this.read(name).then(({ isEnabled }) => isEnabled);
  }

  /** As it is now. */
  async read(name: FeatureName): Promise<FeatureState> {
    const state = await this.#read(name);
    this.#known.set(name, { state, until: performance.now() + believedMilliseconds });
    return state;
  }

  async #read(name: FeatureName): Promise<FeatureState> {
    return stateOf(this.#configured[name], await this.#store.first(settingByKey, [featureKey(name)]));
  }
}

/** @param row what the API has set */
export function stateOf(
  { enabled, setBy }: Settings['features'][FeatureName],
  row: { readonly value: string; readonly revision: number } | undefined,
): FeatureState {
  const revision = row?.revision ?? 0;
  if (setBy === 'configuration') return { isEnabled: enabled, setBy, revision };
  return row === undefined
    ? { isEnabled: enabled, setBy: 'default', revision }
    : { isEnabled: row.value === 'true', setBy: 'api', revision };
}
