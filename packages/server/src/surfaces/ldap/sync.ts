import { labelPattern, StrongroomError } from '@strongroom/contract';
import type { DirectoryConflict, DirectoryPrincipal } from '../../identities/directory-principals.ts';
import { foldUserName } from '../../identities/user-name.ts';
import type { OpenEgress } from '../../integrations/connection.ts';
import { type LaunchSubject } from '../../launches/resolve.ts';
import { newId } from '../../store/ids.ts';
import { type HeldLease, withLease } from '../../store/leases.ts';
import type { Store } from '../../store/store.ts';
import type { Tables } from '../../store/tables.ts';
import { platformSubject, type PlatformUse } from '../platform-use.ts';
import type { DirectoryGroup, DirectoryUser, Found } from './directory.ts';
import { withDirectory } from './directory.ts';
import { LdapFailure } from './failure.ts';
import type { LdapDocument } from './document.ts';

export interface LdapSyncParts {
  readonly store: Store;
  readonly use: PlatformUse<LdapDocument>;
  readonly openEgress: OpenEgress;
  /** Of leases; unique per process start. */
  readonly holder: string;
  readonly report: (message: string, error: unknown) => void;
}

/** What a directory has, read whole before anything is written. */
interface Contents {
  readonly users: Found<DirectoryUser>;
  readonly groups: Found<DirectoryGroup>;
  /** Names of those it still has, of users that the search for all did not find. */
  readonly stillThere: ReadonlySet<string>;
}

const lookEveryMilliseconds = 2_000;
const leaseMilliseconds = 30_000;
const syncMilliseconds = 180_000;
const entriesAtOnce = 100;
const namesAtOnce = 50;
const maxConflicts = 100;
const groupName = new RegExp(labelPattern);

/** Brings users and groups of the directory in at its period, by one server of all those over a database. */
export class LdapSync {
  readonly #parts: LdapSyncParts;
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> = Promise.resolve();

  constructor(parts: LdapSyncParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#schedule();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#timer);
    await this.#round;
  }

  /** What the last sync came to; `null`: there was none. */
  async state(): Promise<Tables['directory_syncs'] | null> {
    const row = await this.#parts.store.db.selectFrom('directory_syncs').selectAll().executeTakeFirst();
    return row ?? null;
  }

  /**
   * Syncs now.
   * @throws StrongroomError `not_found` while nothing is configured; `state_conflict` while a sync is under way
   */
  async now(subject: LaunchSubject, signal: AbortSignal): Promise<void> {
    if ((await this.#parts.use.saved()) === null) throw new StrongroomError('not_found');
    if (!(await this.#run(subject, signal)))
      throw new StrongroomError('state_conflict', { detail: 'A sync is under way.' });
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      this.#round = this.#look().finally(() => {
        if (!this.#stop.signal.aborted) this.#schedule();
      });
    }, lookEveryMilliseconds).unref();
  }

  /** Reads alone, until a sync is due. */
  async #look(): Promise<void> {
    try {
      const saved = await this.#parts.use.saved();
      if (saved === null) return;
      const last = await this.state();
      const passed = this.#parts.store.now() - (last?.started_at ?? 0);
      // What was begun in the future was begun before the clock was set back.
      if (passed < 0 || passed >= saved.document.syncPeriodSeconds * 1000)
        await this.#run(platformSubject, this.#stop.signal);
    } catch (error) {
      this.#parts.report('the directory could not be synced; it is tried again', error);
    }
  }

  async #run(subject: LaunchSubject, signal: AbortSignal): Promise<boolean> {
    const { store, holder } = this.#parts;
    const { held } = await withLease(store, 'job.sync-ldap', holder, leaseMilliseconds, async (lease) => {
      await store.execute('identities.beginDirectorySync', { lease: tokenOf(lease) });
      const limits = [signal, lease.signal, this.#stop.signal, AbortSignal.timeout(syncMilliseconds)];
      try {
        await this.#sync(subject, lease, AbortSignal.any(limits));
      } catch (error) {
        if (!(error instanceof LdapFailure) && !(error instanceof StrongroomError)) throw error;
        const cause = error instanceof LdapFailure ? error.reason : error.code;
        const message = error instanceof LdapFailure ? `${error.step}: ${error.reason}` : error.message;
        const ended = { lease: tokenOf(lease), outcome: 'failed', cause, message } as const;
        await store.execute('identities.endDirectorySync', ended);
      }
    });
    return held;
  }

  /** Everything is read before anything is written: what fails changes nothing. */
  async #sync(subject: LaunchSubject, lease: HeldLease, signal: AbortSignal): Promise<void> {
    const { store, use, openEgress } = this.#parts;
    const egress = await openEgress();
    const kept = await store.query('identities.listDirectoryPrincipals', undefined);
    const contents = await use.use(subject, signal, ({ document, credential }) =>
      withDirectory(egress, document, signal, async (connection): Promise<Contents> => {
        await connection.bind(document.bindDn, credential('bindCredential'));
        const users = await connection.users();
        const groups = await connection.groups();
        const ids = new Set(users.items.map(({ id }) => id));
        const missing = kept.filter((each) => each.kind === 'user' && !each.isAbsent && !ids.has(each.directoryId));
        const stillThere = new Set<string>();
        // A second look at those alone: an answer that was cut off without a word disables nobody.
        for (let at = 0; at < missing.length; at += namesAtOnce) {
          const names = missing.slice(at, at + namesAtOnce).map(({ name }) => name);
          for (const { id } of (await connection.users(names)).items) stillThere.add(id);
        }
        return { users, groups, stillThere };
      }),
    );
    if (contents === null) throw new StrongroomError('not_found');
    if (signal.aborted) throw new LdapFailure('search groups', 'deadline');
    await this.#apply(contents, kept, lease);
  }

  async #apply(contents: Contents, kept: readonly DirectoryPrincipal[], lease: HeldLease): Promise<void> {
    const { store } = this.#parts;
    const token = tokenOf(lease);
    const conflicts: DirectoryConflict[] = [];
    const users = readable('user', contents.users.items, (name) => foldUserName(name), conflicts);
    const groups = readable('group', contents.groups.items, groupNameOf, conflicts);
    const wanted = [
      ...users.map(({ id, name, displayName, mail }) => {
        const shown = displayName.slice(0, 200);
        return { kind: 'user' as const, directoryId: id, name, displayName: shown, email: mail?.slice(0, 254) ?? null };
      }),
      ...groups.map(({ id, name }) => {
        return { kind: 'group' as const, directoryId: id, name, displayName: name, email: null };
      }),
    ];
    const before = new Map(kept.map((each) => [`${each.kind} ${each.directoryId}`, each]));
    const entries = wanted.filter((entry) => !isSame(entry, before.get(`${entry.kind} ${entry.directoryId}`)));
    let changed = 0;
    for (let at = 0; at < entries.length; at += entriesAtOnce) {
      const batch = entries.slice(at, at + entriesAtOnce).map((entry) => ({ ...entry, newId: newId(entry.kind) }));
      const refused = await store.execute('identities.putDirectoryEntries', { lease: token, entries: batch });
      conflicts.push(...refused);
      changed += batch.length - refused.length;
    }
    changed += await this.#memberships(token, users, groups, conflicts);
    const isPartial = contents.users.isPartial || contents.groups.isPartial;
    const isEmpty = users.length === 0 && kept.some(({ kind, isAbsent }) => kind === 'user' && !isAbsent);
    // A directory that has nobody at all is one that shows nothing.
    if (!isPartial && !isEmpty) changed += await this.#absent(token, contents, kept, conflicts);
    await store.execute('identities.endDirectorySync', {
      lease: token,
      outcome: 'ok',
      users: users.length,
      groups: groups.length,
      changed,
      conflicts: JSON.stringify(conflicts.slice(0, maxConflicts)),
      cause: isPartial || isEmpty ? 'truncated' : null,
      message: isPartial
        ? 'The directory refers elsewhere for a part of it; nobody was disabled.'
        : isEmpty
          ? 'The search found nobody; nobody was disabled.'
          : null,
    });
  }

  /** Memberships as the directory has them; those that people made stay. */
  async #memberships(
    lease: ReturnType<typeof tokenOf>,
    users: readonly DirectoryUser[],
    groups: readonly DirectoryGroup[],
    conflicts: DirectoryConflict[],
  ): Promise<number> {
    const { store } = this.#parts;
    const kept = await store.query('identities.listDirectoryPrincipals', undefined);
    const idOf = new Map(kept.map((each) => [`${each.kind} ${each.directoryId}`, each.id]));
    const byReference = new Map<string, string>();
    for (const { id, dn, name } of users) {
      const principal = idOf.get(`user ${id}`);
      if (principal === undefined) continue;
      byReference.set(foldDn(dn), principal);
      byReference.set(name, principal);
    }
    const held = Map.groupBy(await store.query('identities.listDirectoryMembers', undefined), ({ groupId }) => groupId);
    let changed = 0;
    for (const group of groups) {
      const groupId = idOf.get(`group ${group.id}`);
      if (groupId === undefined) continue;
      const wanted = new Set(
        group.members.flatMap((text) => byReference.get(foldDn(text)) ?? byReference.get(text.toLowerCase()) ?? []),
      );
      const present = new Set((held.get(groupId) ?? []).map(({ principalId }) => principalId));
      const [add, remove] = [[...wanted.difference(present)], [...present.difference(wanted)]];
      if (add.length + remove.length === 0) continue;
      const done = await this.#unlessLastAdmin('group', group.name, conflicts, () =>
        store.execute('identities.setDirectoryMembers', { lease, groupId, add, remove }),
      );
      if (done) changed += add.length + remove.length;
    }
    return changed;
  }

  async #absent(
    lease: ReturnType<typeof tokenOf>,
    { users, groups, stillThere }: Contents,
    kept: readonly DirectoryPrincipal[],
    conflicts: DirectoryConflict[],
  ): Promise<number> {
    const there = {
      user: new Set([...users.items.map(({ id }) => id), ...stillThere]),
      group: new Set(groups.items.map(({ id }) => id)),
    };
    let changed = 0;
    for (const { id, kind, name, directoryId, isAbsent } of kept) {
      if (isAbsent || there[kind].has(directoryId)) continue;
      const done = await this.#unlessLastAdmin(kind, name, conflicts, () =>
        this.#parts.store.execute('identities.markDirectoryAbsent', { lease, kind, id }),
      );
      if (done) changed += 1;
    }
    return changed;
  }

  /** What would leave the platform without an administrator is reported and not done. */
  async #unlessLastAdmin(
    kind: DirectoryConflict['kind'],
    name: string,
    conflicts: DirectoryConflict[],
    change: () => Promise<void>,
  ): Promise<boolean> {
    try {
      await change();
      return true;
    } catch (error) {
      if (!(error instanceof StrongroomError && error.code === 'last_admin')) throw error;
      conflicts.push({ kind, name, reason: 'last-admin' });
      return false;
    }
  }
}

function tokenOf({ name, epoch }: HeldLease) {
  return { name, epoch };
}

function groupNameOf(name: string): string | null {
  const folded = name.toLowerCase();
  return groupName.test(folded) ? folded : null;
}

/** Entries with a name that fits here, each name once: of two that have it, neither is taken. */
function readable<Item extends { readonly id: string; readonly name: string }>(
  kind: DirectoryConflict['kind'],
  items: readonly Item[],
  fold: (name: string) => string | null,
  conflicts: DirectoryConflict[],
): Item[] {
  const named = items.flatMap((item) => {
    const name = fold(item.name);
    if (name === null) conflicts.push({ kind, name: printable(item.name), reason: 'name-invalid' });
    return name === null ? [] : [{ ...item, name }];
  });
  const byName = Map.groupBy(named, ({ name }) => name);
  const byId = Map.groupBy(named, ({ id }) => id);
  return named.filter(({ id, name }) => {
    const isOne = byName.get(name)?.length === 1 && byId.get(id)?.length === 1;
    if (!isOne) conflicts.push({ kind, name, reason: 'duplicate' });
    return isOne;
  });
}

function printable(text: string): string {
  return text.slice(0, 64).replaceAll(/[^!-~]/gu, '?');
}

function isSame(entry: Omit<DirectoryPrincipal, 'id' | 'isAbsent'>, before: DirectoryPrincipal | undefined): boolean {
  return (
    before !== undefined &&
    !before.isAbsent &&
    before.name === entry.name &&
    before.displayName === entry.displayName &&
    before.email === entry.email
  );
}

/** Distinguished names as most directories write them differ in case and in blanks after commas alone. */
function foldDn(dn: string): string {
  return dn.toLowerCase().replaceAll(/\s*([,=+])\s*/g, '$1');
}
