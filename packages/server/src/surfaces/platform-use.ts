import { StrongroomError } from '@strongroom/contract';
import type { SecretValue } from '@strongroom/crypto';
import type { ScopeRef } from '../access/types.ts';
import { authorisedWanted } from '../launches/plan.ts';
import type { LaunchSubject, Resolver } from '../launches/resolve.ts';
import { wantedId } from '../launches/wanted.ts';
import { adminScopeId } from '../store/ids.ts';
import type { Store } from '../store/store.ts';
import type { SurfaceDefinition } from './definition.ts';
import { requireDestinations } from './destinations.ts';
import { findConfiguration, usesOfConfiguration } from './rows.ts';
import { CredentialValues, unusableTexts, withResolvedTexts } from './texts.ts';

/** Where configurations of the platform are. */
export const adminScope: ScopeRef = { id: adminScopeId, kind: 'admin', name: 'admin' };

/** The server itself, for work that nobody asked for. */
export const platformSubject: LaunchSubject = { id: 'system', name: 'system' };

/** A saved configuration of the platform in use. */
export interface PlatformForm<Document> {
  readonly document: Document;
  readonly revision: number;
  /** The value of a credential field; `undefined` where it is not set. Valid until the work ends. */
  readonly credential: (name: string) => SecretValue | undefined;
}

/** Uses a configuration of the platform as a launch uses a domain's: decide, fetch, audit, use, drop. */
export class PlatformUse<Document> {
  readonly #surface: SurfaceDefinition<unknown, Document>;
  readonly #store: Store;
  readonly #resolver: Resolver;

  constructor(surface: SurfaceDefinition<unknown, Document>, store: Store, resolver: Resolver) {
    this.#surface = surface;
    this.#store = store;
    this.#resolver = resolver;
  }

  /** The document as it is saved, without its credentials; `null` while there is none. */
  async saved(): Promise<{ readonly document: Document; readonly revision: number } | null> {
    const row = await this.#row();
    return row === undefined ? null : { document: this.#surface.parse(row.document), revision: row.revision };
  }

  /**
   * @returns what the work gives; `null` while nothing is configured
   * @throws StrongroomError `reference_unresolved` naming each credential that didn't resolve; `destination_refused`;
   * `audit_unavailable`
   */
  async use<Result>(
    subject: LaunchSubject,
    signal: AbortSignal,
    work: (form: PlatformForm<Document>) => Promise<Result>,
  ): Promise<Result | null> {
    const row = await this.#row();
    if (row === undefined) return null;
    const surface = this.#surface;
    const document = surface.parse(row.document);
    const unusable = unusableTexts(surface, document);
    if (unusable.length > 0)
      throw new StrongroomError('reference_unresolved', {
        detail: `A text of ${surface.title} can not be used.`,
        errors: unusable.map(({ pointer, message }) => ({ pointer, message })),
      });
    const wanted = authorisedWanted(surface, document, row.id, await usesOfConfiguration(this.#store, row.id));
    await requireDestinations(this.#store, adminScope, wanted, surface.credentials?.destination(document) ?? null);
    const resolution = await this.#resolver.resolve({
      verb: 'surface.use',
      domain: adminScope,
      subject,
      needs: [],
      wanted,
      readsAll: false,
      signal,
      commit: async (release) => {
        if (wanted.length === 0) return;
        await this.#store.execute('launches.record', undefined, {
          audit: release.audit,
          expectAuthorisationRevision: release.revision,
        });
      },
      refuse: async (release) => {
        await this.#store.execute('launches.record', undefined, { audit: release.audit });
      },
    });
    if (!resolution.ok) {
      const failed = resolution.results.filter(({ outcome }) => outcome !== 'resolved' && outcome !== 'withheld');
      throw new StrongroomError('reference_unresolved', {
        detail: `A credential of ${surface.title} does not resolve.`,
        errors: failed.map(({ pointer, name, reference, outcome, cause, fixableBy }) => ({
          pointer,
          message: `${name}: ${cause ?? outcome}`,
          reference,
          ...(fixableBy === undefined ? {} : { fixableBy }),
        })),
      });
    }
    const { values } = resolution;
    const valueAt = (pointer: string, text: string) => values.get(wantedId({ pointer, text }));
    const credentials = new CredentialValues(surface.fields(document), valueAt);
    try {
      const resolved = withResolvedTexts(surface, document, valueAt);
      if (resolved.unfit.length > 0)
        throw new StrongroomError('reference_unresolved', {
          detail: `A text of ${surface.title} can not be used.`,
          errors: resolved.unfit.map(({ pointer, name, message }) => ({ pointer, message: `${name}: ${message}` })),
        });
      return await work({
        document: resolved.document,
        revision: row.revision,
        credential: (name) => credentials.get(name),
      });
    } finally {
      credentials.destroy();
      values.destroy();
    }
  }

  async #row() {
    const { type } = this.#surface;
    return findConfiguration(this.#store, adminScope.id, type, type);
  }
}
