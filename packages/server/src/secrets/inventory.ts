import { type InventoryFinding, inventoryFindings, type InventoryItem, StrongroomError } from '@strongroom/contract';
import type { Static } from 'typebox';
import { seesAllOfGlobal } from '../access/decide.ts';
import type { Access, Caller, ScopeRef } from '../access/types.ts';
import type { Keys } from '../keys/keys.ts';
import { adminScopeId, globalScopeId } from '../store/ids.ts';
import type { Store } from '../store/store.ts';
import type { FoundInInventory, InventoryPosition, MissingCause, SecretFinding } from './inventory-queries.ts';
import { rotationDueAt, type SecretView, time, useView } from './metadata.ts';
import type { SecretReader } from './reader.ts';
import { usesSeenBy } from './seen-uses.ts';

export interface InventoryQuery {
  readonly limit?: number;
  readonly cursor?: string;
  readonly finding?: InventoryFinding;
  readonly withinDays?: number;
  readonly unusedForDays?: number;
}

export interface InventoryPage {
  readonly items: Static<typeof InventoryItem>[];
  readonly nextCursor?: string;
  readonly withheld: InventoryFinding[];
}

const defaultPage = 50;

/** What needs care in a scope, and what to do about it: metadata, never a value. */
export class Inventory {
  readonly #store: Store;
  readonly #keys: Pick<Keys, 'sealCursor' | 'openCursor'>;
  readonly #access: Access;
  readonly #reader: SecretReader;
  readonly #now: () => number;

  /** @param now milliseconds since 1970 */
  constructor(
    store: Store,
    keys: Pick<Keys, 'sealCursor' | 'openCursor'>,
    access: Access,
    reader: SecretReader,
    now: () => number = Date.now,
  ) {
    this.#store = store;
    this.#keys = keys;
    this.#access = access;
    this.#reader = reader;
    this.#now = now;
  }

  /**
   * Which secrets share a value is told to those alone who manage the scope: it says something of values.
   * @throws StrongroomError `cursor_invalid`; `permission_missing` for shared values, when they alone are asked for
   */
  async list(caller: Caller, scope: ScopeRef, query: InventoryQuery): Promise<InventoryPage> {
    const { limit = defaultPage, cursor, finding, withinDays = 30, unusedForDays = 90 } = query;
    const resource = { kind: 'scope', scope } as const;
    if (finding === 'shared-value') await this.#access.require(caller, 'secret.manage', resource);
    const isManager = this.#access.decide(caller.snapshot, 'secret.manage', resource).allow;
    const withheld = inventoryFindings.filter((each) => each === 'shared-value' && !isManager);
    const asked = finding === undefined ? inventoryFindings : [finding];
    const binding = JSON.stringify(['secret.inventory', caller.id, scope.id, finding, withinDays, unusedForDays]);
    const findings = asked.filter((each) => !withheld.includes(each));
    const after = cursor === undefined ? null : readPosition(this.#keys.openCursor(cursor, binding), findings);
    const rows = await this.#store.query('secret.inventory', {
      ...this.#reader.visibility(caller, scope),
      scopeId: scope.id,
      findings,
      withinDays,
      unusedForDays,
      now: this.#now(),
      after,
      limit: limit + 1,
    });
    const page = rows.slice(0, limit);
    const items = await Promise.all(page.map((row) => this.#item(caller, scope, row)));
    const last = page.at(-1);
    return {
      items,
      ...(rows.length > limit && last !== undefined
        ? { nextCursor: this.#keys.sealCursor({ ...positionOf(last) }, binding) }
        : {}),
      withheld,
    };
  }

  async #item(caller: Caller, scope: ScopeRef, row: FoundInInventory): Promise<Static<typeof InventoryItem>> {
    if (row.finding === 'used-but-missing') {
      const { use, key, finding } = row;
      // What is assigned to other domains alone is not there, but for those who know all of Global.
      const isHidden = row.cause === 'not-assigned' && !seesAllOfGlobal(caller.snapshot);
      const deletedAt = isHidden ? null : row.deletedAt;
      const cause = isHidden ? 'absent' : deletedAt === null ? row.cause : 'deleted';
      const at = deletedAt === null ? null : time(deletedAt);
      const shown = useView(use, usesSeenBy(this.#access, caller.snapshot, scope));
      const place = `${use.name} of ${use.surface} ${shown.configuration ?? 'that is not yours to see'}`;
      const advice = missingAdvice(cause, shellWord(key), flagsOf(row.targetScopeId, use.domain), place);
      return { finding, key, reference: use.reference, at, advice, cause, use: shown };
    }
    const secret = await this.#reader.view(caller, scope, row.secret);
    const { finding, sharedWith } = row;
    return {
      finding,
      key: secret.key,
      reference: secret.reference,
      at: momentOf(finding, secret),
      advice: advice[finding](shellWord(secret.key), flagsOf(scope.id, scope.name)),
      secret,
      ...(finding === 'shared-value' ? { sharedWith: [...sharedWith] } : {}),
    };
  }
}

function momentOf(finding: SecretFinding, secret: SecretView): string | null {
  switch (finding) {
    case 'expired':
    case 'expiring':
      return secret.expiresAt;
    case 'stale':
    case 'due-soon':
      return secret.rotateEveryDays === null
        ? null
        : time(rotationDueAt(Date.parse(secret.rotatedAt), secret.rotateEveryDays));
    case 'unused':
      return secret.lastLaunchedAt;
    case 'shared-value':
      return null;
  }
}

/** What to do about a secret. `flags` name the scope, as the command line does. */
const advice: Readonly<Record<SecretFinding, (key: string, flags: string) => string>> = {
  expired: (key, flags) =>
    `Get a new value from whoever issues it and set it: strongroom secret rotate ${key} ${flags}; then its next date: strongroom secret edit ${key} ${flags} --expires-at DATE.`,
  expiring: (key, flags) =>
    `Have a new value issued before that, set it: strongroom secret rotate ${key} ${flags}, and its next date with secret edit --expires-at.`,
  stale: (key, flags) =>
    `Its rotation is due: strongroom secret rotate ${key} ${flags}, then start again what strongroom secret drift ${key} ${flags} names.`,
  'due-soon': (key, flags) => `Plan its rotation: strongroom secret rotate ${key} ${flags}.`,
  'shared-value': (key, flags) =>
    `Give each its own value, or refer to one of them everywhere: strongroom secret where-used ${key} ${flags} says where.`,
  unused: (key, flags) =>
    `If nobody needs it, delete it: strongroom secret delete ${key} ${flags}; until it is purged it can be restored.`,
};

function missingAdvice(cause: MissingCause, key: string, flags: string, place: string): string {
  switch (cause) {
    case 'deleted':
      return `Restore it: strongroom secret restore ${key} ${flags}, or give ${place} another reference.`;
    case 'absent':
      return `Create it: strongroom secret create ${key} ${flags}, or give ${place} another reference.`;
    case 'not-assigned':
      return `It is not assigned to the domain: strongroom secret assign ${key} says to which it is, --to sets them; or give ${place} another reference.`;
    case 'source-gone':
      return `Its integration was deleted; give ${place} a reference to another source.`;
    case 'not-listed':
      return `Put it where the integration reads, or give ${place} another reference; strongroom integration refresh lists anew.`;
  }
}

function flagsOf(scopeId: string, domain: string): string {
  if (scopeId === globalScopeId) return '--global';
  return scopeId === adminScopeId ? '--admin' : `--domain ${domain}`;
}

/** Keys that other programs left may hold anything. */
function shellWord(key: string): string {
  return /^[A-Za-z0-9._/-]+$/.test(key) ? key : `'${key.replaceAll("'", `'\\''`)}'`;
}

function positionOf(row: FoundInInventory): InventoryPosition {
  if (row.finding !== 'used-but-missing')
    return { finding: row.finding, foldedKey: row.secret.folded_key, id: row.secret.id };
  const { configuration_id: configurationId, pointer, reference } = row.use;
  return { finding: row.finding, configurationId, pointer, reference };
}

/** @throws StrongroomError `cursor_invalid`, also for a finding that the caller is not told by now */
function readPosition(payload: unknown, findings: readonly InventoryFinding[]): InventoryPosition {
  const { finding, foldedKey, id, configurationId, pointer, reference } = (payload ?? {}) as Record<string, unknown>;
  const known = findings.find((each) => each === finding);
  if (known === 'used-but-missing') {
    if (typeof configurationId === 'string' && typeof pointer === 'string' && typeof reference === 'string')
      return { finding: known, configurationId, pointer, reference };
  } else if (known !== undefined && typeof foldedKey === 'string' && typeof id === 'string')
    return { finding: known, foldedKey, id };
  throw new StrongroomError('cursor_invalid');
}
