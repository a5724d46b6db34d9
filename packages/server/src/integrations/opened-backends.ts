import { StrongroomError } from '@strongroom/contract';
import type { Backend, TracedCall } from '@strongroom/backends';
import type { SecretValue } from '@strongroom/crypto';
import { hotStatement, type Store } from '../store/store.ts';
import type { IntegrationRow } from './required-rows.ts';
import { type OpenEgress, type Settings, storedSettings } from './connection.ts';
import type { IntegrationCredentials } from './credentials.ts';
import type { LoadBackend } from './load-backend.ts';
import { type BoundProfile, requireProfile } from './profiles/bound-profile.ts';
import { withinPrefix } from './within-prefix.ts';

const integrationById = hotStatement<IntegrationRow>(
  'integrations.byId',
  (db) => db.selectFrom('integrations').selectAll().where('id', '=', '').compile(),
  { isRemembered: true },
);

export interface OpenedBackendsParts {
  readonly store: Store;
  readonly credentials: IntegrationCredentials;
  readonly egress: OpenEgress;
  readonly load: LoadBackend;
  /** Told of each request to a backend when it has ended. It must not throw. */
  readonly onCall?: (call: TracedCall) => void;
}

interface Opened {
  /** Revisions of the integration and of its profile. */
  readonly state: string;
  readonly keyPrefix: string;
  readonly backend: Promise<Backend>;
}

export interface OpenedAt {
  readonly backend: Backend;
  readonly row: IntegrationRow;
  /** What every key of it begins with, by its settings and its profile. */
  readonly keyPrefix: string;
}

/** Backends kept open: connections and tokens of those that were used last. */
const maxOpened = 500;
/** One call of a backend, with its waiting for others and its retries. */
const callMilliseconds = 20_000;
/** Calls of a launch end within 30 s; those that have the old backend in hand may come to their end. */
const lingerMilliseconds = 60_000;

/** Backends of integrations, opened once for each state of an integration's settings. */
export class OpenedBackends {
  readonly #parts: OpenedBackendsParts;
  /** In the order of their last use. */
  readonly #opened = new Map<string, Opened>();
  readonly #lingering = new Map<Opened, NodeJS.Timeout>();
  #isClosed = false;

  constructor(parts: OpenedBackendsParts) {
    this.#parts = parts;
  }

  /**
   * The backend of an integration as it is set up now. It stays usable for a minute after a change; ask again for each launch
   * and don't close it. What it is asked for has been decided before.
   *
   * @throws StrongroomError `not_found` when there is no such integration (any more), `shutting_down`
   */
  async open(sourceId: string): Promise<Backend> {
    return (await this.openAt(sourceId)).backend;
  }

  /** {@link open}, with the revision that it is opened at: together with the id it names a state of the source. */
  async openAt(sourceId: string): Promise<OpenedAt> {
    if (this.#isClosed) throw new StrongroomError('shutting_down');
    const { row, profile } = await this.#read(sourceId);
    const state = `${row.revision} ${profile?.id ?? ''} ${profile?.revision ?? ''} ${profile?.prefix ?? ''}`;
    const known = this.#opened.get(sourceId);
    if (known?.state === state) {
      this.#opened.delete(sourceId);
      this.#opened.set(sourceId, known);
      return { backend: await known.backend, row, keyPrefix: known.keyPrefix };
    }
    const keyPrefix = keyPrefixOf(ownerOf(row).settings, profile);
    const opened = { state, keyPrefix, backend: this.#openLimited(row, profile) };
    this.forget(sourceId);
    this.#opened.set(sourceId, opened);
    const [oldest] = this.#opened.keys();
    if (this.#opened.size > maxOpened && oldest !== undefined) this.forget(oldest);
    try {
      return { backend: await opened.backend, row, keyPrefix };
    } catch (error) {
      if (this.#opened.get(sourceId) === opened) this.#opened.delete(sourceId);
      throw error;
    }
  }

  /** Another one than {@link open} gives, set up alike; the caller closes it. @throws StrongroomError `not_found` */
  async openAnother(sourceId: string): Promise<Backend> {
    const { row, profile } = await this.#read(sourceId);
    return this.#openLimited(row, profile);
  }

  async #read(sourceId: string) {
    const row = await this.#parts.store.first(integrationById, [sourceId]);
    if (row === undefined) {
      this.forget(sourceId);
      throw new StrongroomError('not_found');
    }
    const { profile_id: profileId } = row;
    const profile = profileId === null ? null : await requireProfile(this.#parts.store, ownerOf(row), profileId);
    return { row, profile };
  }

  async #openLimited(row: IntegrationRow, profile: BoundProfile | null): Promise<Backend> {
    const { credentials, onCall } = this.#parts;
    const owner = ownerOf(row);
    const [{ limited, traced }, backend] = await Promise.all([
      import('@strongroom/backends'),
      this.openWith(row.type, owner.settings, (name) => credentials.open(owner, name), profile),
    ]);
    return limited(onCall === undefined ? backend : traced(backend, onCall), { deadlineMs: callMilliseconds });
  }

  /** A backend of its own, which the caller closes. @param profile whose identity it may use, when it has none of its own */
  async openWith(
    type: string,
    settings: Settings,
    credential: (name: string) => Promise<SecretValue>,
    profile: BoundProfile | null,
  ): Promise<Backend> {
    const [definition, egress] = await Promise.all([this.#parts.load(type), this.#parts.egress()]);
    const parts = {
      egress,
      credential: profile === null ? credential : ambientIdentity,
      ...(profile === null ? {} : { lent: { externalId: profile.external_id } }),
      now: Date.now,
    };
    const backend = await definition.open(settings, parts);
    return profile === null ? backend : withinPrefix(backend, profile.prefix);
  }

  /** After a change or the end of an integration: nobody gets this backend any more. */
  forget(sourceId: string): void {
    const opened = this.#opened.get(sourceId);
    if (opened === undefined) return;
    this.#opened.delete(sourceId);
    const timer = setTimeout(() => {
      this.#lingering.delete(opened);
      void end(opened);
    }, lingerMilliseconds).unref();
    this.#lingering.set(opened, timer);
  }

  /** Ends all connections; idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const timer of this.#lingering.values()) clearTimeout(timer);
    const all = [...this.#opened.values(), ...this.#lingering.keys()];
    this.#opened.clear();
    this.#lingering.clear();
    await Promise.all(all.map(end));
  }
}

function ownerOf(row: IntegrationRow) {
  return { id: row.id, scopeId: row.scope_id, type: row.type, settings: storedSettings(row.settings) };
}

function keyPrefixOf(settings: Settings, profile: BoundProfile | null): string {
  const own = 'prefix' in settings && typeof settings.prefix === 'string' ? settings.prefix : '';
  const lent = profile?.prefix ?? '';
  return own.startsWith(lent) ? own : lent;
}

/** The identity that the server has where it runs. Only what names a profile that is bound to its scope gets here. */
async function ambientIdentity(name: string): Promise<SecretValue> {
  const { readServiceAccountToken, serviceAccountCredential } = await import('@strongroom/backends/vault');
  if (name === serviceAccountCredential) return readServiceAccountToken();
  throw new StrongroomError('state_conflict', { detail: `A profile lends no ${name}.` });
}

/** One that could not be opened has nothing to close. */
async function end({ backend }: Opened): Promise<void> {
  const [opened] = await Promise.allSettled([backend]);
  if (opened.status === 'fulfilled') await opened.value.close();
}
