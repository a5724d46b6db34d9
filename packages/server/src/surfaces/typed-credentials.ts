import { formatReference, StrongroomError } from '@strongroom/contract';
import type { Caller, ScopeRef } from '../access/types.ts';
import { canonical } from './compare.ts';
import { type Credentials, credentialsOf, type HeldCredential, withCredentials } from './credential-fields.ts';
import type { CredentialChanges, Destination, SurfaceDefinition } from './definition.ts';
import { FieldProblems } from './definition.ts';
import { fromReferenceObject, toReferenceObject } from './named-fields.ts';
import type { OwnedRotation, OwnedSecrets, Owner } from './owned-secrets.ts';
import type { UseRow } from './rows.ts';

/** One save of a configuration with credential fields. */
export interface CredentialSave<Document> {
  readonly surface: SurfaceDefinition<unknown, Document>;
  readonly owner: Owner;
  /** As it was sent, without credentials. */
  readonly document: Document;
  readonly changes: CredentialChanges;
  /** As it is saved so far; `null`: not yet. */
  readonly before: Document | null;
}

/** What a save commits. */
export interface WrittenCredentials<Document> {
  readonly document: Document;
  /** To be committed with it. */
  readonly rotations: readonly OwnedRotation[];
  /** Fields whose secrets have another value, by the commit or already. */
  readonly retyped: readonly string[];
}

/**
 * What was typed into a configuration's credential fields, on its way to secrets of its own. {@link planned} is decided on
 * before anything is written; {@link write} writes, once; what a save that fails wrote is taken back with {@link undo}. What
 * can't be taken back, {@link explain} says.
 */
export class TypedCredentials<Document> {
  readonly #owned: OwnedSecrets;
  readonly #save: CredentialSave<Document>;
  readonly #names: readonly string[];
  readonly #held: Credentials;
  readonly #destination: Destination | null;
  readonly #isMoved: boolean;
  readonly #created = new Map<string, { readonly id: string; readonly held: HeldCredential }>();
  /** Fields whose secrets are kept outside the database and have their values already. */
  readonly #rotated = new Set<string>();

  /** @throws StrongroomError `validation_failed` when a kept credential would go to another place than it was typed for */
  constructor(owned: OwnedSecrets, save: CredentialSave<Document>) {
    this.#owned = owned;
    this.#save = save;
    const { credentials } = save.surface;
    this.#names = credentials?.namesIn?.(save.document) ?? credentials?.names ?? [];
    this.#held = save.before === null ? {} : credentialsOf(save.before, this.#names, credentials?.member);
    this.#destination = credentials?.destination(save.document) ?? null;
    const placeOf = (document: Document): string =>
      canonical([credentials?.destination(document) ?? null, credentials?.boundTo?.(document) ?? null]);
    this.#isMoved = save.before !== null && placeOf(save.before) !== placeOf(save.document);
    this.#refuseKept();
  }

  #refuseKept(): void {
    if (!this.#isMoved) return;
    const problems = new FieldProblems();
    for (const [name, held] of Object.entries(this.#held))
      if (held?.isOwned === true && !this.#isChanged(name))
        problems.add(`/${name}`, 'It was typed for another host; type it again, or clear it.');
    problems.refuse(this.#save.surface.title);
  }

  /** A reference to the very secret that is there is no change, nor the very text. */
  #isChanged(name: string): boolean {
    const change = this.#save.changes.get(name);
    const held = this.#held[name];
    if (change === undefined) return false;
    if (change.kind === 'text') return held?.value !== change.text;
    if (change.kind !== 'refer' || held?.secret === undefined) return true;
    return formatReference(change.reference) !== formatReference(fromReferenceObject(held.secret));
  }

  /** Whether nothing was typed that would be written. */
  get isNothing(): boolean {
    return ![...this.#save.changes.values()].some(({ kind }) => kind === 'set');
  }

  /** The document as far as it is known before anything is written: what is typed anew isn't in it. */
  planned(): Document {
    return this.#documentWith((name) => {
      const held = this.#held[name];
      return held?.isOwned === true && !this.#isMoved ? held : undefined;
    });
  }

  /** The document of a form that is tried and not saved: it refers to what is kept and chosen, not to what is typed. */
  referring(): Document {
    return this.#documentWith(() => undefined);
  }

  /**
   * The values typed are in secrets of its own, or on their way with the commit. It may be asked again: for a save that is
   * decided anew.
   * @throws StrongroomError those of writing a secret
   */
  async write(caller: Caller, scope: ScopeRef): Promise<WrittenCredentials<Document>> {
    const rotations = new Map<string, OwnedRotation>();
    for (const name of this.#names) {
      const rotation = await this.#writeOne(caller, scope, name);
      if (rotation !== null) rotations.set(name, rotation);
    }
    const document = this.#documentWith((name) => this.#created.get(name)?.held ?? this.#held[name]);
    return { document, rotations: [...rotations.values()], retyped: [...rotations.keys(), ...this.#rotated] };
  }

  async #writeOne(caller: Caller, scope: ScopeRef, name: string): Promise<OwnedRotation | null> {
    const change = this.#save.changes.get(name);
    if (change?.kind !== 'set' || this.#created.has(name) || this.#rotated.has(name)) return null;
    const held = this.#held[name];
    // Elsewhere it gets a name of its own: what is up with the old place keeps what it was typed for.
    if (held?.secret !== undefined && held.isOwned === true && !this.#isMoved) {
      const { key } = held.secret;
      const rotation = await this.#owned.rotation(caller, scope, key, change.value);
      if (rotation !== null) return rotation;
      await this.#owned.rotate(caller, scope, key, change.value);
      this.#rotated.add(name);
      return null;
    }
    const { surface, owner } = this.#save;
    const key =
      surface.credentials?.key?.(owner.name, name, this.#save.document) ?? `${surface.type}.${owner.name}.${name}`;
    const made = await this.#owned.create(caller, scope, owner, key, change.value, this.#destination);
    this.#created.set(name, { id: made.id, held: { secret: toReferenceObject(made.reference), isOwned: true } });
    return null;
  }

  #documentWith(typed: (name: string) => HeldCredential | undefined): Document {
    const credentials = this.#names.map((name) => {
      const change = this.#isChanged(name) ? this.#save.changes.get(name) : undefined;
      if (change === undefined) return [name, this.#held[name]] as const;
      if (change.kind === 'set') return [name, typed(name)] as const;
      if (change.kind === 'clear') return [name, undefined] as const;
      if (change.kind === 'text') return [name, { value: change.text }] as const;
      return [name, { secret: toReferenceObject(change.reference) }] as const;
    });
    const { surface, document } = this.#save;
    return withCredentials(document, Object.fromEntries(credentials), surface.credentials?.member);
  }

  /** After a save: destroys what it replaced or cleared. @param uses what the configuration held before it */
  async removeReplaced(caller: Caller, scope: ScopeRef, uses: readonly UseRow[]): Promise<void> {
    const ids = uses.flatMap(({ secret_id: id }) => (id === null ? [] : [id]));
    await this.#owned.remove(caller, scope, this.#save.owner.configurationId, new Set(ids));
  }

  /** After a save that failed: destroys what it wrote. */
  async undo(caller: Caller, scope: ScopeRef): Promise<void> {
    const ids = new Set([...this.#created.values()].map(({ id }) => id));
    await this.#owned.remove(caller, scope, this.#save.owner.configurationId, ids);
  }

  /** What a save failed with, and what has another value all the same: a store outside the database takes part in no commit. */
  explain(error: unknown): unknown {
    if (this.#rotated.size === 0 || !(error instanceof StrongroomError)) return error;
    const { code, message, hint, errors, retryAfterSeconds } = error;
    const names = [...this.#rotated].join(', ');
    return new StrongroomError(code, {
      detail: `${message} What was typed into ${names} is there already: the store of this scope took it.`,
      hint,
      ...(errors === undefined ? {} : { errors }),
      ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
      cause: error,
    });
  }

  /** Zeroes what was typed. */
  destroy(): void {
    for (const change of this.#save.changes.values()) if (change.kind === 'set') change.value.destroy();
  }
}
