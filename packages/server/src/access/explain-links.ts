import type { Action, ExplainLink, ExplainOutcome } from '@strongroom/contract';
import type { Store } from '../store/store.ts';
import { allowanceText, refusalText } from './refusal.ts';
import type { AssetRef, Caller, Decision, Resource } from './types.ts';
import type { WhoMay } from './who-may.ts';

/** One link of an explanation. */
export interface LinkView {
  readonly link: ExplainLink;
  readonly name: string;
  readonly outcome: ExplainOutcome;
  readonly because: string[];
  readonly detail: string;
  readonly fixableBy: string[];
  /** The place of a configuration that it is about. */
  readonly at?: LinkPlace;
}

/** A field of a configuration, and what it refers to. */
interface LinkPlace {
  /** RFC 6901, into the configuration. */
  readonly pointer: string;
  /** The variable, property or file as people know it. */
  readonly field: string;
  /** Canonical form. */
  readonly reference: string;
}

export function link(
  kind: ExplainLink,
  name: string,
  outcome: ExplainOutcome,
  because: readonly string[],
  detail: string,
  fixableBy: readonly string[] = [],
): LinkView {
  return { link: kind, name, outcome, because: [...because], detail, fixableBy: [...fixableBy] };
}

/** Whether references work on this installation. */
export function featureLink(isEnabled: boolean): LinkView {
  if (isEnabled) return link('feature', 'secretsV2', 'allow', ['enabled'], 'References work on this installation');
  const detail = 'References are turned off on this installation';
  return link('feature', 'secretsV2', 'deny', ['feature-disabled'], detail, ['role:PLATFORM_ADMIN']);
}

/** Links that are decisions, each with who can change one that denies. */
export class DecisionLinks {
  readonly #store: Pick<Store, 'db'>;
  readonly #whoMay: WhoMay;

  constructor(store: Pick<Store, 'db'>, whoMay: WhoMay) {
    this.#store = store;
    this.#whoMay = whoMay;
  }

  async of(caller: Caller, kind: ExplainLink, name: string, decision: Decision, resource: Resource): Promise<LinkView> {
    if (decision.allow) return link(kind, name, 'allow', decision.because, allowanceText(decision));
    const fixableBy = await this.#whoMay.fixers(caller, resource, decision);
    return link(kind, name, 'deny', decision.because, refusalText(decision, resource), fixableBy);
  }

  /** The permission on an asset, and the bundles through which it is had or would be. */
  async onAsset(caller: Caller, permissionName: string, decision: Decision, asset: AssetRef): Promise<LinkView[]> {
    const permission = await this.of(caller, 'permission', permissionName, decision, { kind: 'asset', asset });
    if (asset.bundleIds.length === 0) return [permission];
    const rows = await this.#store.db
      .selectFrom('bundles')
      .select('name')
      .where('id', 'in', asset.bundleIds)
      .orderBy('name')
      .execute();
    return [permission, { ...permission, link: 'bundle', name: rows.map(({ name }) => name).join(', ') }];
  }

  /** Whether something of Global is assigned to the domain that uses it; nothing for what needs no assignment. */
  async assignment(caller: Caller, placeName: string, asset: AssetRef): Promise<LinkView[]> {
    if (asset.isAssigned === undefined) return [];
    const decision: Decision = asset.isAssigned
      ? { allow: true, because: ['assigned'] }
      : { allow: false, because: ['not-assigned'] };
    return [await this.of(caller, 'assignment', placeName, decision, { kind: 'asset', asset })];
  }

  /** Who may do what would change a link. */
  holders(caller: Caller, action: Action, resource: Resource): Promise<readonly string[]> {
    return this.#whoMay.holders(caller, action, resource);
  }
}
