import { exactKey, foldKey, StrongroomError } from '@strongroom/contract';
import { seesAllOfGlobal } from '../access/decide.ts';
import { type PageRequest, readPage, wholeList } from '../access/pages.ts';
import { actionsOn, type ActionAnswer } from '../access/refusal.ts';
import type { Access, AccessSnapshot, Caller, ScopeRef } from '../access/types.ts';
import { type Holder, kindsSeen, mayBeHeld } from '../impact/holders.ts';
import type { Keys } from '../keys/keys.ts';
import { andThen, type MaybePromise } from '../store/maybe-promise.ts';
import { hotStatement, type Store } from '../store/store.ts';
import {
  integrationKeyView,
  type IntegrationKeyView,
  type ListIntegrations,
  type SourceView,
} from './integration-keys.ts';
import { positionOf, readPosition } from './key-order.ts';
import {
  type BrokenUses,
  brokenUsesOf,
  formatVersion,
  maxBrokenUses,
  secretView,
  type SecretView,
  time,
  useView,
  viewHoldsUntil,
} from './metadata.ts';
import type { ListedSecret, SecretRow, SecretState } from './queries.ts';
import { usesSeenBy } from './seen-uses.ts';
import type { UseRow } from './use-rows.ts';
import type { UsePosition, UsesFilter } from './used-by.ts';

export interface SecretListFilter {
  readonly limit?: number;
  readonly cursor?: string;
  readonly q?: string;
  readonly folder?: string;
  readonly tag?: string;
  readonly state?: SecretState;
  /** `managed`, or the name of an integration. */
  readonly source?: string;
}

/** Rows of a list, managed ones and read-only ones, with the integrations that the latter are of. */
export interface SecretListPage {
  readonly items: (SecretView | IntegrationKeyView)[];
  readonly nextCursor?: string;
  readonly sources: SourceView[];
}

const defaultPage = 50;

type FoundSecret = ListedSecret & {
  /** 1: something that is no configuration may hold it. */
  readonly is_held: number;
};

const byFoldedKey = hotStatement<FoundSecret>(
  'secret.byFoldedKey',
  (db) =>
    db
      .selectFrom('secrets')
      .innerJoin('sources', 'sources.id', 'secrets.source_id')
      .selectAll('secrets')
      .select((column) => [
        'sources.type as source_type',
        column
          .selectFrom('uses')
          .innerJoin('configurations', 'configurations.id', 'uses.configuration_id')
          .select((use) => use.fn.countAll<number>().as('count'))
          .whereRef('uses.secret_id', '=', 'secrets.id')
          .where('configurations.deleted_at', 'is', null)
          .$asScalar()
          .$notNull()
          .as('uses'),
        mayBeHeld().as('is_held'),
      ])
      .where('secrets.scope_id', '=', '')
      .where('sources.name', '=', 'managed')
      .where('secrets.folded_key', '=', '')
      .compile(),
  { isRemembered: true },
);

/** What of secrets and of their uses a caller may know of. */
export interface Visibility {
  readonly assignedTo: readonly string[] | null;
  readonly usesIn: readonly string[] | null;
  readonly holderKinds: readonly Holder['kind'][];
}

interface Shown {
  readonly view: SecretView;
  readonly snapshot: AccessSnapshot;
  /** Milliseconds since 1970. */
  readonly until: number;
}

/** Everything that reads the catalogue: metadata, never a value. */
export class SecretReader {
  readonly #store: Store;
  readonly #keys: Keys;
  readonly #access: Access;
  readonly #listIntegrations: ListIntegrations;
  /**
   * What was last shown of a row. It holds while the row is the one that the store remembers, the caller's snapshot the one
   * it was decided with, and time brings no change.
   */
  readonly #shown = new WeakMap<ListedSecret, Shown>();

  constructor(store: Store, keys: Keys, access: Access, listIntegrations: ListIntegrations) {
    this.#store = store;
    this.#keys = keys;
    this.#access = access;
    this.#listIntegrations = listIntegrations;
  }

  async get(caller: Caller, scope: ScopeRef, key: string): Promise<SecretView> {
    return this.show(caller, scope, key);
  }

  /** {@link get}, at once where it was shown before. Frozen: who asks again while nothing has changed gets the same. */
  show(caller: Caller, scope: ScopeRef, key: string): MaybePromise<SecretView> {
    return andThen(this.#find(caller, scope, key), (row) => {
      const now = Date.now();
      const shown = this.#shown.get(row);
      if (shown !== undefined && shown.snapshot === caller.snapshot && now < shown.until) return shown.view;
      return this.#actions(caller, scope, row).then((actions) => {
        const view = Object.freeze(secretView(scope, row, actions, now));
        this.#shown.set(row, { view, snapshot: caller.snapshot, until: viewHoldsUntil(row, now) });
        return view;
      });
    });
  }

  /**
   * Secrets of the scope's managed store and keys of the integrations that the caller may use in it, in one order. What only a
   * managed secret has (folder, tags, states) leaves those out.
   * @throws StrongroomError `cursor_invalid`; `permission_missing` for states that only who manages the scope may see
   */
  async list(caller: Caller, scope: ScopeRef, filter: SecretListFilter): Promise<SecretListPage> {
    if (filter.state === 'deleted' || filter.state === 'shared-value')
      await this.#access.require(caller, 'secret.manage', { kind: 'scope', scope });
    const { cursor, limit = defaultPage, ...selection } = filter;
    const { q = '', source, ...ofManaged } = selection;
    const binding = JSON.stringify(['secret.list', caller.id, scope.id, selection]);
    const from = cursor === undefined ? null : readPosition(this.openCursor(cursor, binding));
    const integrations = Object.keys(ofManaged).length > 0 ? [] : await this.#listIntegrations(caller, scope);
    const listed = integrations.filter(({ view }) => source === undefined || view.source === source);
    const visibility = this.visibility(caller, scope);
    const rows = await this.#store.query('secret.page', {
      managed:
        source === undefined || source === 'managed'
          ? { ...ofManaged, ...visibility, scope: scope.kind, scopeId: scope.id, now: Date.now() }
          : null,
      origins: listed.map(({ origin }) => origin),
      usesIn: scope.kind === 'domain' ? [scope.id] : visibility.usesIn,
      holderKinds: visibility.holderKinds,
      q: q.toLowerCase(),
      from,
      limit: limit + 1,
    });
    const bySource = new Map(listed.map((each) => [each.origin.sourceId, each]));
    const items = await Promise.all(
      rows.slice(0, limit).flatMap((row): Promise<SecretView | IntegrationKeyView>[] => {
        if (row.secret !== null) return [this.view(caller, scope, row.secret)];
        const integration = bySource.get(row.sourceId);
        return integration === undefined ? [] : [Promise.resolve(integrationKeyView(caller, scope, integration, row))];
      }),
    );
    const next = rows[limit];
    return {
      items,
      sources: listed.map(({ view }) => view),
      ...(next === undefined ? {} : { nextCursor: this.#keys.sealCursor({ ...positionOf(next) }, binding) }),
    };
  }

  async versions(caller: Caller, scope: ScopeRef, key: string) {
    const row = await this.find(caller, scope, key);
    const versions = await this.#store.db
      .selectFrom('secret_versions')
      .select(['epoch', 'version', 'shape', 'field_names', 'created_at', 'created_by', 'copied_from'])
      .where('secret_id', '=', row.id)
      .orderBy('version', 'desc')
      .execute();
    const epochOf = new Map(versions.map(({ version, epoch }) => [version, epoch]));
    return versions.map((version) => ({
      version: formatVersion(version.epoch, version.version),
      isCurrent: version.version === row.current_version,
      shape: version.shape,
      ...(version.field_names === null ? {} : { fields: JSON.parse(version.field_names) as string[] }),
      createdAt: time(version.created_at),
      createdBy: version.created_by,
      ...(version.copied_from === null
        ? {}
        : { copiedFrom: formatVersion(epochOf.get(version.copied_from) ?? version.epoch, version.copied_from) }),
    }));
  }

  async usedBy(
    caller: Caller,
    scope: ScopeRef,
    key: string,
    page: { readonly limit?: number; readonly cursor?: string },
  ) {
    const row = await this.find(caller, scope, key);
    const { cursor, limit = defaultPage } = page;
    const binding = JSON.stringify(['secret.usedBy', caller.id, row.id]);
    const after = cursor === undefined ? undefined : this.openCursor(cursor, binding);
    const rows = await this.uses(
      caller,
      scope,
      row,
      limit + 1,
      after && { configurationId: String(after['c']), pointer: String(after['p']), reference: String(after['r']) },
    );
    const items = rows.slice(0, limit);
    const last = items.at(-1);
    const sees = usesSeenBy(this.#access, caller.snapshot, scope);
    return {
      items: items.map((use) => useView(use, sees)),
      ...(rows.length > limit && last !== undefined
        ? {
            nextCursor: this.#keys.sealCursor(
              { c: last.configuration_id, p: last.pointer, r: last.reference },
              binding,
            ),
          }
        : {}),
    };
  }

  /** @throws StrongroomError `cursor_invalid` */
  async folders(caller: Caller, scope: ScopeRef, { limit = wholeList, cursor }: PageRequest) {
    const request = { limit, ...(cursor === undefined ? {} : { cursor }) };
    const { assignedTo: assigned } = this.visibility(caller, scope);
    return readPage(this.#keys, caller, ['folders', scope.id], request, {
      read: ({ after, limit: rows }) =>
        this.#store.query('secret.folders', { scopeId: scope.id, assigned, after: after?.[0] ?? null, limit: rows }),
      positionOf: ({ folder }) => [folder],
      toItem: (each) => each,
    });
  }

  /** Domains a Global secret is assigned to; none: all. */
  async assignments(caller: Caller, scope: ScopeRef, key: string): Promise<{ all: boolean; domains: string[] }> {
    const row = await this.find(caller, scope, key);
    const rows = await this.#store.db
      .selectFrom('secret_assignments')
      .innerJoin('scopes', 'scopes.id', 'secret_assignments.scope_id')
      .select('scopes.name')
      .where('secret_assignments.secret_id', '=', row.id)
      .orderBy('scopes.name')
      .execute();
    return { all: rows.length === 0, domains: rows.map(({ name }) => name) };
  }

  /** The live secret, or the 404 that says nothing. */
  async find(caller: Caller, scope: ScopeRef, key: string): Promise<ListedSecret> {
    return this.#find(caller, scope, key);
  }

  async findAny(caller: Caller, scope: ScopeRef, key: string): Promise<ListedSecret> {
    return this.#findAny(caller, scope, key);
  }

  #find(caller: Caller, scope: ScopeRef, key: string): MaybePromise<ListedSecret> {
    return andThen(this.#findAny(caller, scope, key), (row) => {
      if (row.deleted_at !== null) throw new StrongroomError('not_found');
      return row;
    });
  }

  #findAny(caller: Caller, scope: ScopeRef, key: string): MaybePromise<ListedSecret> {
    return andThen(this.row(scope, key), (row) => {
      if (row === undefined || row.key !== key) throw new StrongroomError('not_found');
      return scope.kind === 'global' || row.is_held === 1 ? this.#asSeenBy(caller, scope, row) : row;
    });
  }

  /** A Global secret as far as the caller's domains go; with what holds it and is no configuration, where that may be. */
  async #asSeenBy(caller: Caller, scope: ScopeRef, row: FoundSecret): Promise<ListedSecret> {
    const { assignedTo, usesIn } = this.visibility(caller, scope);
    if (assignedTo !== null && !(await this.#isAssigned(row.id, assignedTo))) throw new StrongroomError('not_found');
    if (usesIn === null && row.is_held === 0) return row;
    return { ...row, uses: await this.countUses(caller, scope, row) };
  }

  row(scope: ScopeRef, key: string): MaybePromise<FoundSecret | undefined> {
    return andThen(this.#store.first(byFoldedKey, [scope.id, 'managed', foldKey(key)]), (row) =>
      row?.key === key
        ? row
        : andThen(this.#store.first(byFoldedKey, [scope.id, 'managed', exactKey(key)]), (exact) => exact ?? row),
    );
  }

  /** In a domain everything is its own. Of Global a caller sees what is assigned to its domains, and its own domains' uses. */
  visibility(caller: Caller, scope: ScopeRef): Visibility {
    const holderKinds = kindsSeen(this.#access, caller.snapshot);
    if (scope.kind !== 'global' || seesAllOfGlobal(caller.snapshot))
      return { assignedTo: null, usesIn: null, holderKinds };
    const domains = [...caller.snapshot.domains.keys()];
    return { assignedTo: domains, usesIn: domains, holderKinds };
  }

  async uses(
    caller: Caller,
    scope: ScopeRef,
    secret: Pick<SecretRow, 'id' | 'source_id' | 'key'>,
    limit: number,
    after?: UsePosition,
  ): Promise<UseRow[]> {
    const filter = this.#usesOf(caller, scope, secret);
    return this.#store.query('secret.usedBy', { ...filter, limit, ...(after && { after }) });
  }

  /** How many there are, of those the caller may know of. */
  countUses(caller: Caller, scope: ScopeRef, secret: Pick<SecretRow, 'id' | 'source_id' | 'key'>): Promise<number> {
    return this.#store.query('secret.countUsedBy', this.#usesOf(caller, scope, secret));
  }

  /** The first that a change breaks. @param keptIn scopes whose uses it doesn't */
  async brokenUses(
    caller: Caller,
    scope: ScopeRef,
    secret: Pick<SecretRow, 'id' | 'source_id' | 'key'>,
    keptIn: readonly string[] = [],
  ): Promise<BrokenUses> {
    const filter = { ...this.#usesOf(caller, scope, secret), usesNotIn: keptIn };
    const rows = await this.#store.query('secret.usedBy', { ...filter, limit: maxBrokenUses + 1 });
    return brokenUsesOf(rows, usesSeenBy(this.#access, caller.snapshot, scope));
  }

  #usesOf(caller: Caller, scope: ScopeRef, secret: Pick<SecretRow, 'id' | 'source_id' | 'key'>): UsesFilter {
    const { usesIn, holderKinds: kinds } = this.visibility(caller, scope);
    return { target: { secretId: secret.id }, held: { sourceId: secret.source_id, key: secret.key, kinds }, usesIn };
  }

  async view(caller: Caller, scope: ScopeRef, row: ListedSecret): Promise<SecretView> {
    return secretView(scope, row, await this.#actions(caller, scope, row), Date.now());
  }

  async #isAssigned(secretId: string, domains: readonly string[]): Promise<boolean> {
    const rows = await this.#store.db
      .selectFrom('secret_assignments')
      .select('scope_id')
      .where('secret_id', '=', secretId)
      .execute();
    return rows.length === 0 || rows.some((row) => domains.includes(row.scope_id));
  }

  async #actions(caller: Caller, scope: ScopeRef, row: SecretRow): Promise<ActionAnswer[]> {
    const actions = actionsOn(caller.snapshot, ['secret.manage'], { kind: 'scope', scope });
    if (scope.kind !== 'domain') return actions;
    const asset = await this.#access.secretAsset(scope, { scope: 'domain', secretId: row.id, key: row.key });
    return [...actions, ...actionsOn(caller.snapshot, ['secret.use'], { kind: 'asset', asset })];
  }

  openCursor(cursor: string, binding: string): Record<string, unknown> {
    const payload = this.#keys.openCursor(cursor, binding);
    if (payload === null) throw new StrongroomError('cursor_invalid');
    return payload;
  }
}
