import { type Action, reservedSourceName } from '@strongroom/contract';
import { sees, seesAllOfGlobal } from '../access/decide.ts';
import { type DecisionLinks, link, type LinkView } from '../access/explain-links.ts';
import { namePrincipal } from '../access/principal-names.ts';
import type { AccessService } from '../access/service.ts';
import type { AccessSnapshot, AssetRef, Caller, ScopeRef } from '../access/types.ts';
import { formatVersion } from '../secrets/metadata.ts';
import { globalScopeId } from '../store/ids.ts';
import type { Store } from '../store/store.ts';
import { explainFailure, type Failure } from './outcomes.ts';
import { decideUse, findTarget, type Target } from './targets.ts';
import type { AuthorisedWanted } from './wanted.ts';

interface ReferenceLinkParts {
  readonly store: Store;
  readonly access: AccessService;
  readonly links: DecisionLinks;
  readonly caller: Caller;
  /** Of the configuration that refers. */
  readonly scope: ScopeRef;
}

interface Told {
  /** A preflight tells the caller what each reference gives. */
  readonly isTold: boolean;
  /** Who may save the configuration again. */
  readonly editors: () => Promise<readonly string[]>;
}

type Authoriser = { readonly authoriser: LinkView; readonly snapshot: AccessSnapshot | null };

/** What mends a failure, in the scope of what is referred to. */
const mendedBy: ReadonlyMap<Failure, Action> = new Map([
  ['missing', 'secret.manage'],
  ['deleted', 'secret.manage'],
  ['field-missing', 'secret.manage'],
  ['source-unknown', 'integration.create'],
]);

/**
 * The links of the references that a configuration holds, in one explanation. Of what the caller may not see it says what a
 * preflight would, to who may do one, and else nothing: absent and hidden are alike.
 */
export class ReferenceLinks {
  readonly #parts: ReferenceLinkParts;
  readonly #sources = new Map<string, LinkView>();
  readonly #names = new Map<string, string>();

  constructor(parts: ReferenceLinkParts) {
    this.#parts = parts;
  }

  async of(wanted: readonly AuthorisedWanted[], told: Told): Promise<LinkView[]> {
    const links: LinkView[] = [];
    for (const item of wanted) {
      const at = { pointer: item.pointer, field: item.name, reference: item.text };
      for (const each of await this.#one(item, told)) links.push({ ...each, at });
    }
    return links;
  }

  /** The sources that were met, each once. */
  backends(): LinkView[] {
    return [...this.#sources.values()];
  }

  /** Whether somebody on whose authority something is there still is. @param id empty: nobody */
  async authoriser(id: string, editors: Told['editors']): Promise<Authoriser> {
    const { access, scope } = this.#parts;
    const snapshot = id === '' ? null : await access.snapshot(id);
    const name = await this.#nameOf(id, snapshot);
    const standing = snapshot === null ? null : access.decide(snapshot, 'domain.view', { kind: 'scope', scope });
    if (standing?.allow === true)
      return {
        snapshot,
        authoriser: link('authoriser', name, 'allow', ['enabled'], 'Who put it there is still there'),
      };
    const [because = 'no-standing'] = standing === null ? ['no-principal'] : standing.because;
    const detail = 'Who put it there is disabled, gone or without standing here; somebody else has to save it again';
    return { snapshot: null, authoriser: link('authoriser', name, 'deny', [because], detail, await editors()) };
  }

  async #one(wanted: AuthorisedWanted, told: Told): Promise<LinkView[]> {
    const { store, scope } = this.#parts;
    const target = await findTarget(store, scope, wanted.reference);
    const authorisers: Authoriser[] = [];
    for (const id of new Set(wanted.authorisers)) authorisers.push(await this.authoriser(id, told.editors));
    const links = authorisers.map(({ authoriser }) => authoriser);
    const standing = authorisers.flatMap(({ snapshot }) => (snapshot === null ? [] : [snapshot]));
    const seen = await this.#seen(wanted, target, told);
    if (seen === 'hidden') return [...links, ...(await this.#told(wanted, target, told, standing))];
    if (seen === 'absent') return [...links, await this.#failure('missing', wanted, told)];
    this.#noteSource(target);
    if (wanted.sourceId !== null && target.source !== null && target.source.id !== wanted.sourceId)
      links.push(await this.#failure('source-changed', wanted, told));
    return [
      ...links,
      ...(target.integration === null
        ? await this.#secret(wanted, target, seen, standing, told)
        : await this.#integration(target, seen, standing)),
    ];
  }

  /** The asset, where the caller sees it; whether there is none, where it would. */
  async #seen(
    { ownedBy }: AuthorisedWanted,
    target: Target,
    { isTold }: Told,
  ): Promise<AssetRef | 'absent' | 'hidden'> {
    const { access, caller, scope } = this.#parts;
    const { secret, integration } = target;
    if (integration !== null)
      return sees(caller.snapshot, { kind: 'asset', asset: integration.asset }) ? integration.asset : 'hidden';
    const asset =
      secret === null
        ? null
        : await access.secretAsset(scope, { scope: target.scope, secretId: secret.id, key: secret.key });
    // What is assigned to other domains alone is not there, but for those who know all of Global.
    if (secret === null || asset === null || (asset.isAssigned === false && !seesAllOfGlobal(caller.snapshot))) {
      // Integrations are not all seen by who lists secrets: one that is not there is as one that is hidden.
      const isManaged = target.source?.name === reservedSourceName;
      const lists = access.decide(caller.snapshot, 'secret.list', { kind: 'scope', scope }).allow;
      return isManaged && lists ? 'absent' : 'hidden';
    }
    const isOwn = secret.ownedBy !== null && secret.ownedBy === ownedBy && isTold;
    return isOwn || sees(caller.snapshot, { kind: 'asset', asset: { ...asset, isAssigned: true } }) ? asset : 'hidden';
  }

  /** What a preflight tells, without whatever else is known of the target. */
  async #told(
    wanted: AuthorisedWanted,
    target: Target,
    told: Told,
    standing: readonly AccessSnapshot[],
  ): Promise<LinkView[]> {
    const { access, scope } = this.#parts;
    if (!told.isTold) return [link('catalogue', wanted.text, 'unknown', ['not-found'], 'Not found, or not yours')];
    const links: LinkView[] = [];
    for (const snapshot of standing) {
      const { failure } = await decideUse(access, snapshot, scope, wanted.reference, target, wanted.ownedBy);
      if (failure === null)
        links.push(link('catalogue', wanted.text, 'allow', ['usable'], 'Who put it there may use it'));
      else links.push(await this.#failure(failure, wanted, told));
    }
    return links;
  }

  async #failure(failure: Failure, wanted: AuthorisedWanted, { editors }: Told): Promise<LinkView> {
    const { scope } = this.#parts;
    const { cause } = explainFailure(failure, { domain: scope.name, reference: wanted.reference });
    return link('catalogue', wanted.text, 'deny', [failure], cause, await this.#fixers(failure, wanted, editors));
  }

  /** The people behind the words of a failure. */
  async #fixers(
    failure: Failure,
    { reference }: AuthorisedWanted,
    editors: Told['editors'],
  ): Promise<readonly string[]> {
    const { links, caller, scope } = this.#parts;
    const home: ScopeRef = reference.scope === 'global' ? { id: globalScopeId, kind: 'global', name: 'global' } : scope;
    if (failure === 'source-changed' || failure === 'authoriser-gone') return editors();
    if (failure === 'feature-disabled') return ['role:PLATFORM_ADMIN'];
    const mending = mendedBy.get(failure);
    return mending === undefined
      ? links.holders(caller, 'access.manage', { kind: 'scope', scope })
      : links.holders(caller, mending, { kind: 'scope', scope: home });
  }

  async #secret(
    wanted: AuthorisedWanted,
    target: Target,
    asset: AssetRef,
    standing: readonly AccessSnapshot[],
    told: Told,
  ): Promise<LinkView[]> {
    const { access, links, caller, scope } = this.#parts;
    const { secret } = target;
    if (secret === null) return [];
    if (secret.isDeleted) return [await this.#failure('deleted', wanted, told)];
    const { field } = wanted.reference;
    const version = `version ${formatVersion(secret.epoch, secret.version)}`;
    const hasField = field === undefined || (secret.fieldNames ?? []).includes(field);
    const fixableBy = hasField ? [] : await this.#fixers('field-missing', wanted, told.editors);
    const found = [
      link('catalogue', wanted.text, 'allow', ['found'], 'It is in the catalogue'),
      hasField
        ? link('version', version, 'allow', ['current'], 'The current version is what is delivered')
        : link('version', version, 'deny', ['field'], 'The value has no such field', fixableBy),
      ...(await links.assignment(caller, scope.name, asset)),
    ];
    if (secret.ownedBy !== null && secret.ownedBy === wanted.ownedBy)
      return [...found, link('permission', 'USE', 'allow', ['owned'], 'It was typed into this configuration')];
    if (secret.ownedBy !== null) {
      const detail = 'It was typed into another configuration, and is for that one alone';
      return [...found, link('permission', 'USE', 'deny', ['owned'], detail, await told.editors())];
    }
    for (const snapshot of standing) {
      const decision = access.decide(snapshot, 'secret.use', { kind: 'asset', asset });
      found.push(...(await links.onAsset(caller, 'USE', decision, asset)));
    }
    return found;
  }

  async #integration(
    { integration }: Target,
    asset: AssetRef,
    standing: readonly AccessSnapshot[],
  ): Promise<LinkView[]> {
    const { access, links, caller, scope } = this.#parts;
    if (integration === null) return [];
    const { name, type, health, health_code: code } = integration.row;
    const isFailed = health === 'unhealthy';
    const detail = isFailed ? `It failed when it was last tried: ${code ?? 'unknown'}` : 'It is set up';
    const found = [
      link('integration', name, isFailed ? 'unknown' : 'allow', [type, health], detail),
      ...(await links.assignment(caller, scope.name, asset)),
    ];
    for (const snapshot of standing) {
      const decision = access.decide(snapshot, 'integration.use', { kind: 'asset', asset });
      found.push(...(await links.onAsset(caller, 'USE', decision, asset)));
    }
    return found;
  }

  #noteSource({ source }: Target): void {
    if (source === null || this.#sources.has(source.id)) return;
    const own = source.type === 'DATABASE';
    const detail = own ? 'Values are in Strongroom’s own database' : 'A preflight asks it';
    const name = own ? source.type : `${source.type} ${source.name}`;
    this.#sources.set(
      source.id,
      link('backend', name, own ? 'allow' : 'unknown', [own ? 'embedded' : 'not-asked'], detail),
    );
  }

  /** Its label, to who may list it. */
  async #nameOf(id: string, snapshot: AccessSnapshot | null): Promise<string> {
    const { store, access, caller, scope } = this.#parts;
    if (id === caller.id) return caller.name;
    const listsAll = access.decide(caller.snapshot, 'identity.list', { kind: 'platform' }).allow;
    const listsHere =
      snapshot?.domains.has(scope.id) === true &&
      access.decide(caller.snapshot, 'access.view', { kind: 'scope', scope }).allow;
    if (id === '' || (!listsAll && !listsHere)) return 'who put it there';
    const known = this.#names.get(id);
    if (known !== undefined) return known;
    const name = (await namePrincipal(store.db, id)) ?? 'who put it there';
    this.#names.set(id, name);
    return name;
  }
}
