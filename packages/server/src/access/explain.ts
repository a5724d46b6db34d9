import {
  actionTable,
  exactKey,
  foldKey,
  reservedSourceName,
  StrongroomError,
  type Action,
  type ActionRow,
  type ExplainOutcome,
  isAction,
} from '@strongroom/contract';
import { actorOf } from '../identities/actor.ts';
import type { AskKey } from '../integrations/key-question.ts';
import { findUsedIntegration } from '../integrations/use-asset.ts';
import type { MaybePromise } from '../store/maybe-promise.ts';
import type { Store } from '../store/store.ts';
import { decide, sees, seesAllOfGlobal } from './decide.ts';
import { type DecisionLinks, featureLink, link, type LinkView } from './explain-links.ts';
import { readActions, readSubject, type Subject } from './explain-subject.ts';
import { findPrincipal, parsePrincipalLabel } from './principal-names.ts';
import type { AccessService } from './service.ts';
import { secretByKey, sourceByName } from './statements.ts';
import type { AccessSnapshot, AssetRef, Caller, Resource, ScopeRef } from './types.ts';

export interface Question {
  /** Default: the caller. */
  readonly principal?: string;
  readonly action: string;
  readonly domain?: string;
  readonly reference?: string;
  readonly asset?: string;
}

export interface ExplanationView {
  readonly principal: string;
  readonly action: string;
  readonly domain: string | null;
  readonly subject: string | null;
  readonly verdict: ExplainOutcome;
  readonly links: LinkView[];
}

interface FoundSecret {
  readonly asset: AssetRef;
  /** Where it is kept. */
  readonly home: ScopeRef;
  readonly isDeleted: boolean;
}

interface ExplainParts {
  readonly store: Store;
  readonly access: AccessService;
  readonly links: DecisionLinks;
  readonly askKey: AskKey;
  readonly explainUse: ExplainUse;
  /** Read each time: it can be turned off while the server runs. */
  readonly areReferencesEnabled: () => MaybePromise<boolean>;
}

/** Of a configuration what its use comes to, beyond the permission to use it. Nothing for what is no use of one. */
export type ExplainUse = (question: {
  readonly caller: Caller;
  /** The domain; `null`: the platform. */
  readonly place: ScopeRef | null;
  /** Whose use it is. */
  readonly user: AccessSnapshot;
  readonly surface: string;
  /** `null`: there is one of the platform. */
  readonly asset: AssetRef | null;
  /** As asked: a word, or an action of the table. */
  readonly action: string;
  readonly actions: readonly Action[];
}) => Promise<readonly LinkView[]>;

/** Whom the question is about; `snapshot` is null for somebody the caller may not list, who may not exist. */
interface Asked {
  readonly label: string;
  readonly snapshot: AccessSnapshot | null;
}

/** What is done with what; `action` as it was asked. */
interface AskedAction {
  readonly subject: Subject;
  readonly action: string;
  readonly actions: readonly Action[];
}

/** Where it is asked; null: the platform. */
type Place = ScopeRef | null;

/**
 * Walks the chain that allows or refuses something, with the same decision function as everything else, and names the link
 * that refuses. It reads no value; a backend is asked at most whether it holds the key, when nothing before it denies.
 */
export class Explain {
  readonly #store: Store;
  readonly #access: AccessService;
  readonly #links: DecisionLinks;
  readonly #askKey: AskKey;
  readonly #explainUse: ExplainUse;
  readonly #areReferencesEnabled: ExplainParts['areReferencesEnabled'];

  constructor({ store, access, links, askKey, explainUse, areReferencesEnabled }: ExplainParts) {
    this.#store = store;
    this.#access = access;
    this.#links = links;
    this.#askKey = askKey;
    this.#explainUse = explainUse;
    this.#areReferencesEnabled = areReferencesEnabled;
  }

  /**
   * @throws StrongroomError `validation_failed`, `reference_malformed`; `not_found` for a domain the caller doesn't see;
   * `permission_missing` for somebody else without `access.view`; `audit_unavailable`
   */
  async explain(caller: Caller, question: Question): Promise<ExplanationView> {
    const subject = readSubject(question);
    const actions = readActions(question.action, subject);
    const place = await this.#place(caller, question, subject, actions[0]);
    const asked = await this.#asked(caller, place, question.principal);
    const links = await this.#walk(caller, place, asked, { subject, action: question.action, actions });
    const verdict = verdictOf(links);
    await this.#store.execute('access.record', undefined, {
      audit: [
        {
          ...actorOf(caller),
          action: 'explain',
          outcome: 'allowed',
          ...(place === null ? {} : { scope: { id: place.id, name: place.name } }),
          object: { type: 'principal', id: asked.snapshot?.principal.id ?? '', name: asked.label },
          ...(subject.kind === 'reference' ? { reference: subject.text } : {}),
          because: [`verdict:${verdict}`],
          detail: {
            action: question.action,
            ...(subject.kind === 'configuration' || subject.kind === 'platform' ? { asset: subject.text } : {}),
          },
        },
      ],
    });
    return {
      principal: asked.label,
      action: question.action,
      domain: place?.kind === 'domain' ? place.name : null,
      subject: subject.text,
      verdict,
      links,
    };
  }

  async #place(caller: Caller, question: Question, subject: Subject, action: Action): Promise<Place> {
    const row: ActionRow = actionTable[action];
    if (row.on === 'platform') return null;
    const kind =
      question.domain !== undefined ? 'domain' : subject.kind === 'reference' ? subject.reference.scope : 'domain';
    if (kind === 'domain' && question.domain === undefined) {
      throw new StrongroomError('validation_failed', {
        errors: [{ pointer: '/domain', message: 'Name the domain this is about.' }],
      });
    }
    const name = question.domain ?? kind;
    const scope = await this.#access.findScope(caller.snapshot, kind, name);
    return scope ?? this.#access.refuseAbsent(caller, 'domain.view', name);
  }

  async #asked(caller: Caller, place: Place, name: string | undefined): Promise<Asked> {
    const own: Asked = { label: caller.name, snapshot: caller.snapshot };
    if (name === undefined || name === caller.name) return own;
    const listsEverybody = decide(caller.snapshot, 'identity.list', { kind: 'platform' }).allow;
    const found = await findPrincipal(this.#store.db, place ?? { id: '', name: '' }, name);
    if (found?.id === caller.id) return own;
    if (place === null) await this.#access.require(caller, 'identity.list', { kind: 'platform' });
    else await this.#access.require(caller, 'access.view', { kind: 'scope', scope: place });
    const snapshot = found === null ? null : await this.#access.snapshot(found.id);
    const isListable = snapshot !== null && (listsEverybody || (place !== null && snapshot.domains.has(place.id)));
    if (found !== null && isListable) return { label: found.label, snapshot };
    const parsed = parsePrincipalLabel(name);
    if (parsed === null)
      throw new StrongroomError('validation_failed', {
        errors: [{ pointer: '/principal', message: 'This names no principal.' }],
      });
    return { label: name.toLowerCase(), snapshot: null };
  }

  async #walk(
    caller: Caller,
    place: Place,
    asked: Asked,
    { subject, action, actions }: AskedAction,
  ): Promise<LinkView[]> {
    const { snapshot } = asked;
    if (snapshot === null) {
      return [
        link('principal', asked.label, 'unknown', ['not-listed'], 'No such principal, or none that you may list here'),
      ];
    }
    const links = [principalLink(asked.label, snapshot)];
    if (place === null) {
      const platform: Resource = { kind: 'platform' };
      for (const each of actions)
        links.push(await this.#links.of(caller, 'permission', each, decide(snapshot, each, platform), platform));
      if (subject.kind === 'platform')
        links.push(
          ...(await this.#explainUse({
            caller,
            place,
            user: snapshot,
            surface: subject.type,
            asset: null,
            action,
            actions,
          })),
        );
      return links;
    }
    const here: Resource = { kind: 'scope', scope: place };
    links.push(await this.#links.of(caller, 'domain', place.name, decide(snapshot, 'domain.view', here), here));
    const found = await this.#find(caller, place, subject);
    links.push(...found.links);
    if (found.links.some(({ outcome }) => outcome === 'deny')) return links;
    for (const each of actions) links.push(...(await this.#actionLinks(caller, snapshot, place, each, found.asset)));
    if (subject.kind === 'configuration') {
      const use = { caller, place, user: snapshot, surface: subject.type, asset: found.asset, action, actions };
      return [...links, ...(await this.#explainUse(use))];
    }
    // While it is on it goes without saying.
    if (subject.kind === 'reference' && !(await this.#areReferencesEnabled())) links.push(featureLink(false));
    const isDenied = links.some(({ outcome }) => outcome === 'deny');
    links.push(...(await this.#sourceLinks(caller, place, subject, isDenied ? null : found.asset)));
    return links;
  }

  /** The thing asked about, when the caller may know of it: what it may not see and what is not there answer alike. */
  async #find(
    caller: Caller,
    place: ScopeRef,
    subject: Subject,
  ): Promise<{ readonly links: LinkView[]; readonly asset: AssetRef | null }> {
    if (subject.kind === 'place' || subject.kind === 'platform') return { links: [], asset: null };
    if (subject.kind === 'reference' && subject.reference.source !== reservedSourceName)
      return this.#integration(caller, place, subject);
    const secret = subject.kind === 'reference' ? await this.#secret(place, subject) : null;
    if (secret?.isDeleted === true && this.#listsSecrets(caller, secret))
      return { links: [await this.#deletedLink(caller, secret.home, subject.text ?? '')], asset: null };
    const asset =
      subject.kind === 'reference'
        ? secret?.isDeleted === false
          ? secret.asset
          : null
        : await this.#access.configurationAsset(place, subject.type, subject.name);
    if (asset === null || !this.#knows(caller, asset)) {
      const fixableBy = await this.#makers(caller, place, subject);
      const absent = link('catalogue', subject.text, 'deny', ['not-found'], 'Not found, or not yours', fixableBy);
      return { links: [absent], asset: null };
    }
    const links = [link('catalogue', subject.text, 'allow', ['found'], 'It is in the catalogue')];
    return { links: [...links, ...(await this.#links.assignment(caller, place.name, asset))], asset };
  }

  /** Who lists the secrets of a scope sees those that are deleted, too. */
  #listsSecrets(caller: Caller, { asset, home }: FoundSecret): boolean {
    return this.#knows(caller, asset) && decide(caller.snapshot, 'secret.list', { kind: 'scope', scope: home }).allow;
  }

  async #deletedLink(caller: Caller, home: ScopeRef, text: string): Promise<LinkView> {
    const fixableBy = await this.#links.holders(caller, 'secret.manage', { kind: 'scope', scope: home });
    return link('catalogue', text, 'deny', ['deleted'], 'The secret is deleted; it can be restored.', fixableBy);
  }

  /** Of Global what is assigned to other domains alone is not there, but for those who know all of it. */
  #knows({ snapshot }: Caller, asset: AssetRef): boolean {
    const isAssigned = asset.isAssigned !== false || seesAllOfGlobal(snapshot);
    return sees(snapshot, { kind: 'asset', asset: { ...asset, isAssigned } });
  }

  /** Of what is absent or hidden, which are alike: who could make it, and who could let the caller see it. */
  async #makers(
    caller: Caller,
    place: ScopeRef,
    subject: Extract<Subject, { kind: 'reference' | 'configuration' }>,
  ): Promise<readonly string[]> {
    if (subject.kind === 'reference' && subject.reference.scope === 'global') return ['role:SECRETS_ADMIN'];
    // Nothing of the platform's own is ever there for a domain, nor the other way round.
    if (subject.kind === 'reference' && subject.reference.scope !== place.kind) return [];
    const here = { kind: 'scope', scope: place } as const;
    const make = makingOf(subject);
    const makers = make === null ? [] : await this.#links.holders(caller, make, here);
    const granters = place.kind === 'domain' ? await this.#links.holders(caller, 'access.manage', here) : [];
    // Roles come after the names.
    const isRole = (who: string): boolean => who.startsWith('role:');
    const all = [...new Set([...makers, ...granters])];
    return [...all.filter((who) => !isRole(who)), ...all.filter(isRole)];
  }

  /** The link of an integration. Which keys are there only its backend knows, which is a link of its own. */
  async #integration(
    caller: Caller,
    place: ScopeRef,
    subject: Extract<Subject, { kind: 'reference' }>,
  ): Promise<{ readonly links: LinkView[]; readonly asset: AssetRef | null }> {
    const { scope, source } = subject.reference;
    const found = await findUsedIntegration(this.#store, place, scope, source);
    // Of what the caller may not see not even the name is confirmed.
    if (found === null || !sees(caller.snapshot, { kind: 'asset', asset: found.asset }))
      return {
        links: [
          link(
            'integration',
            source,
            'deny',
            ['not-configured'],
            'Not found, or not yours',
            await this.#makers(caller, place, subject),
          ),
        ],
        asset: null,
      };
    const { row, asset } = found;
    const failed = row.health === 'unhealthy';
    const detail = failed ? `It failed when it was last tried: ${row.health_code ?? 'unknown'}` : 'It is set up';
    const links = [link('integration', source, failed ? 'unknown' : 'allow', [row.type, row.health], detail)];
    return { links: [...links, ...(await this.#links.assignment(caller, place.name, asset))], asset };
  }

  async #secret(place: ScopeRef, { reference }: Extract<Subject, { kind: 'reference' }>): Promise<FoundSecret | null> {
    // `domain` means the domain asked about; in the admin and global scopes there is none.
    if (reference.scope === 'domain' && place.kind !== 'domain') return null;
    if (reference.scope === 'admin' && place.kind !== 'admin') return null;
    const home: ScopeRef =
      reference.scope === 'domain'
        ? place
        : { id: `dom_${reference.scope}`, kind: reference.scope, name: reference.scope };
    const folded = await this.#store.first(secretByKey, [home.id, foldKey(reference.key)]);
    // A reference is exact; what differs in case alone is an entry that another program left.
    const row =
      folded?.key === reference.key ? folded : await this.#store.first(secretByKey, [home.id, exactKey(reference.key)]);
    if (row === undefined || row.key !== reference.key) return null;
    const scope = reference.scope === 'global' ? 'global' : 'domain';
    const asset = await this.#access.secretAsset(place, { scope, secretId: row.id, key: row.key });
    return { asset, home, isDeleted: row.deleted_at !== null };
  }

  async #actionLinks(
    caller: Caller,
    snapshot: AccessSnapshot,
    place: ScopeRef,
    action: Action,
    asset: AssetRef | null,
  ): Promise<LinkView[]> {
    const row: ActionRow = actionTable[action];
    if (row.on !== 'asset') {
      const resource: Resource = { kind: 'scope', scope: place };
      const name = row.on === 'scope' && place.kind === 'domain' ? row.domain : action;
      return [await this.#links.of(caller, 'permission', name, decide(snapshot, action, resource), resource)];
    }
    if (asset === null) return [];
    const decision = decide(snapshot, action, { kind: 'asset', asset });
    return this.#links.onAsset(caller, row.permission, decision, asset);
  }

  /** @param asset what the reference is about, unless a link before denies: then no backend is asked */
  async #sourceLinks(caller: Caller, place: ScopeRef, subject: Subject, asset: AssetRef | null): Promise<LinkView[]> {
    if (subject.kind !== 'reference') return [];
    const { reference } = subject;
    const home = reference.scope === 'domain' ? place.id : `dom_${reference.scope}`;
    const source = await this.#store.first(sourceByName, [home, reference.source]);
    if (source === undefined) {
      return [link('integration', reference.source, 'deny', ['not-configured'], 'There is no such integration here')];
    }
    if (source.type === 'DATABASE')
      return [link('backend', source.type, 'allow', ['embedded'], 'Values are in Strongroom’s own database')];
    if (asset?.type !== 'integration')
      return [link('backend', source.type, 'unknown', ['not-asked'], 'The backend was not asked')];
    const { outcome, because, detail } = await this.#askKey(caller, place, asset, reference);
    return [link('backend', source.type, outcome, because, detail)];
  }
}

/** The action that makes one. */
function makingOf(subject: Extract<Subject, { kind: 'reference' | 'configuration' }>): Action | null {
  if (subject.kind === 'reference')
    return subject.reference.source === reservedSourceName ? 'secret.manage' : 'integration.create';
  const making = `${subject.type}.create`;
  return isAction(making) ? making : null;
}

function principalLink(label: string, snapshot: AccessSnapshot): LinkView {
  if (!snapshot.principal.isDisabled) return link('principal', label, 'allow', ['enabled'], 'The account is enabled');
  return {
    ...link('principal', label, 'deny', ['disabled'], 'The account is disabled'),
    fixableBy: ['role:PLATFORM_ADMIN'],
  };
}

function verdictOf(links: readonly LinkView[]): ExplainOutcome {
  if (links.some(({ outcome }) => outcome === 'deny')) return 'deny';
  return links.every(({ outcome }) => outcome === 'allow') ? 'allow' : 'unknown';
}
