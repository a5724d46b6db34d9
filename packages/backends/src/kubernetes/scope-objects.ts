import { kubernetesScopeObjectVerbs, StrongroomError } from '@strongroom/contract/core';
import type {
  CallOptions,
  Capabilities,
  Content,
  DeleteOptions,
  Entry,
  Expectation,
  GetOptions,
  ListOptions,
  ListPage,
  PutOptions,
} from '../backend.ts';
import type { ManagedScope } from '../vault-managed/scope-path.ts';
import { adoptHint } from './adopt-hint.ts';
import { assertExpected, attempt, conflict } from './attempts.ts';
import { type Fingerprints, maxObjectBytes, readContent, tooLarge, writeContent } from './content.ts';
import type { Layout } from './layout.ts';
import { areTooLarge, formatWriteMarks, identityMark, readWriteMarks, type WriteMark } from './marks.ts';
import { checkDataKey, isDataKey, type ScopeObjectKind } from './names.ts';
import type { SecretApi, WriteOutcome } from './secret-api.ts';
import { changedObject, decodedBytes, newObject, type SecretChange, type SecretObject } from './secret-object.ts';

/** Full enough to say so. */
const warnedShare = 0.7;

export const scopeObjectCapabilities: Capabilities = {
  list: true,
  put: true,
  delete: true,
  cas: true,
  // All keys share the object's.
  versions: false,
  // One request has all of them.
  batch: 1000,
  fields: 'json',
  limits: { valueBytes: maxObjectBytes, containerBytes: maxObjectBytes },
};

export interface ScopeObjectParts {
  readonly api: SecretApi;
  readonly fingerprints: Fingerprints;
  readonly scope: ManagedScope;
  readonly objectName: string;
  readonly purpose: ScopeObjectKind;
  /** What the annotation of the object says, when it is ours. */
  readonly identity: string;
  /** `app` and `managed-by`. */
  readonly ownLabels: Readonly<Record<string, string>>;
  readonly tags: ReadonlyMap<string, string>;
}

/**
 * All keys of a scope are keys of one Secret, as IOMETE has them. An object without our mark is read and listed, and not
 * written until it is adopted. Keys of others stay as they are.
 */
export class ScopeObjectLayout implements Layout {
  readonly capabilities = scopeObjectCapabilities;
  readonly verbs = kubernetesScopeObjectVerbs;
  readonly #parts: ScopeObjectParts;

  constructor(parts: ScopeObjectParts) {
    this.#parts = parts;
  }

  get objectName(): string {
    return this.#parts.objectName;
  }

  async get(key: string, { signal, version }: GetOptions): Promise<Entry | null> {
    checkDataKey(key);
    if (version !== undefined)
      throw new StrongroomError('not_supported', { detail: 'The keys of one Secret have no versions of their own.' });
    return this.#entry(await this.#read(signal), key);
  }

  async getMany(
    keys: readonly string[],
    { signal }: CallOptions,
  ): Promise<Map<string, Entry | null | StrongroomError>> {
    if (keys.length === 0) return new Map();
    const object = await this.#read(signal);
    const answers = [...new Set(keys)].map(async (key) => [key, await this.#answer(object, key)] as const);
    return new Map(await Promise.all(answers));
  }

  async list({ signal, cursor, limit }: ListOptions): Promise<ListPage> {
    const object = await this.#read(signal);
    const keys = Object.keys(object?.data ?? {})
      .filter((key) => isDataKey(key) && (cursor === undefined || key > cursor))
      .toSorted((a, b) => (a < b ? -1 : 1));
    const page = keys.slice(0, limit);
    return {
      items: page.map((key) => ({ key })),
      nextCursor: page.length === keys.length ? null : (page.at(-1) ?? null),
    };
  }

  async put(key: string, content: Content, { signal, expect, intentId }: PutOptions): Promise<{ version: null }> {
    checkDataKey(key);
    const { base64, mark } = await writeContent(content, intentId, this.#parts.fingerprints);
    return attempt(signal, async () => {
      const object = await this.#writable(signal);
      await this.#assertExpected(expect, object, key);
      const marks = readWriteMarks(object?.annotations ?? {}).set(key, mark);
      const data = { ...object?.data, ...Object.fromEntries([[key, base64]]) };
      const outcome = await this.#write(object, data, marks, signal);
      return outcome === 'conflict' ? outcome : { done: { version: null } };
    });
  }

  async delete(key: string, { signal, expect }: DeleteOptions): Promise<void> {
    checkDataKey(key);
    await attempt(signal, async () => {
      const object = await this.#read(signal);
      if (object === null || !Object.hasOwn(object.data ?? {}, key)) return { done: undefined };
      this.#assertOurs(object);
      await this.#assertExpected(expect, object, key);
      const marks = readWriteMarks(object.annotations);
      marks.delete(key);
      const data = Object.fromEntries(Object.entries(object.data ?? {}).filter(([name]) => name !== key));
      const outcome = await this.#write(object, data, marks, signal);
      return outcome === 'conflict' ? outcome : { done: undefined };
    });
  }

  /**
   * Makes the object ours, as it is.
   *
   * @param isTrial changes nothing
   * @returns its keys, and whether it was somebody else's. @throws StrongroomError `not_found` when it isn't there
   */
  async adopt(
    signal: AbortSignal,
    isTrial: boolean,
  ): Promise<{ readonly isAdopted: boolean; readonly keys: readonly string[] }> {
    return attempt<{ isAdopted: boolean; keys: readonly string[] }>(signal, async () => {
      const { objectName, identity } = this.#parts;
      const object = await this.#read(signal);
      if (object === null)
        throw new StrongroomError('not_found', { detail: `The namespace has no Secret ${objectName}.` });
      const keys = Object.keys(object.data ?? {});
      if (isOurs(object, identity)) return { done: { isAdopted: false, keys } };
      assertNoOther(object, identity);
      assertChangeable(object);
      if (isTrial) return { done: { isAdopted: true, keys } };
      const annotations = { ...object.annotations, [identityMark]: identity };
      const change = { labels: object.labels, annotations, data: object.data ?? {} };
      const outcome = await this.#parts.api.replace(objectName, changedObject(object, change), signal);
      return outcome === 'conflict' ? outcome : { done: { isAdopted: true, keys } };
    });
  }

  async tryStore(signal: AbortSignal): Promise<string> {
    const { objectName, identity } = this.#parts;
    const object = await this.#read(signal);
    if (object === null) return `The Secret ${objectName} is not there; the first write makes it.`;
    const bytes = bytesOf(object.data ?? {});
    const share = `${Math.round((bytes / maxObjectBytes) * 100)} % of the ${maxObjectBytes} bytes that one Secret takes`;
    if (bytes >= warnedShare * maxObjectBytes)
      return `Warning: the Secret ${objectName} has ${share}. Move this scope to the layout object-per-secret before it is full.`;
    const isAdopted = isOurs(object, identity)
      ? ''
      : ` ${adoptHint(this.#parts.scope, undefined, this.#parts.purpose)}`;
    return object.data === null
      ? `The Secret ${objectName} has no data.${isAdopted}`
      : `The Secret ${objectName} has ${share}.${isAdopted}`;
  }

  #read(signal: AbortSignal): Promise<SecretObject | null> {
    return this.#parts.api.get(this.#parts.objectName, signal);
  }

  async #writable(signal: AbortSignal): Promise<SecretObject | null> {
    const object = await this.#read(signal);
    if (object !== null) this.#assertOurs(object);
    return object;
  }

  #assertOurs(object: SecretObject): void {
    const { identity } = this.#parts;
    assertNoOther(object, identity);
    if (!isOurs(object, identity))
      throw new StrongroomError('state_conflict', {
        detail: `The Secret ${object.name} was not made by Strongroom, so that it is only read.`,
        hint: adoptHint(this.#parts.scope, undefined, this.#parts.purpose),
      });
    assertChangeable(object);
  }

  async #assertExpected(expect: Expectation, object: SecretObject | null, key: string): Promise<void> {
    if (expect.kind === 'any') return;
    const entry = await this.#entry(object, key);
    entry?.value.destroy();
    assertExpected(expect, entry);
  }

  async #write(
    object: SecretObject | null,
    data: Readonly<Record<string, string>>,
    marks: ReadonlyMap<string, WriteMark>,
    signal: AbortSignal,
  ): Promise<WriteOutcome> {
    const { api, objectName, identity, ownLabels, tags } = this.#parts;
    if (bytesOf(data) > maxObjectBytes) throw tooLarge(`all values of ${objectName} together`);
    const change: SecretChange = {
      // An adopted object keeps its own: its installer may look for it by them.
      labels: { ...ownLabels, ...object?.labels, ...Object.fromEntries(tags) },
      annotations: { ...object?.annotations, ...formatWriteMarks(marks), [identityMark]: identity },
      data,
    };
    if (areTooLarge(change.annotations))
      throw new StrongroomError('backend_limit', {
        detail: `The Secret ${objectName} has more keys than its annotations can say who wrote them.`,
        hint: 'Move this scope to the layout object-per-secret.',
      });
    return object === null
      ? api.create(objectName, newObject(objectName, api.namespace, change), signal)
      : api.replace(objectName, changedObject(object, change), signal);
  }

  async #answer(object: SecretObject | null, key: string): Promise<Entry | null | StrongroomError> {
    try {
      checkDataKey(key);
      return await this.#entry(object, key);
    } catch (error) {
      if (error instanceof StrongroomError) return error;
      throw error;
    }
  }

  /** No object, no data and no such key are all the same for one key. */
  async #entry(object: SecretObject | null, key: string): Promise<Entry | null> {
    const data = object?.data ?? {};
    const base64 = Object.hasOwn(data, key) ? data[key] : undefined;
    if (object === null || base64 === undefined) return null;
    const isMarked = isOurs(object, this.#parts.identity);
    const mark = isMarked ? (readWriteMarks(object.annotations).get(key) ?? null) : null;
    const content = await readContent(base64, mark, this.#parts.fingerprints);
    return { ...content, version: null, updatedAt: null, ...(mark === null ? { found: { isMarked } } : {}) };
  }
}

function isOurs({ annotations }: SecretObject, identity: string): boolean {
  return Object.hasOwn(annotations, identityMark) && annotations[identityMark] === identity;
}

/** The object of another install or scope. */
function assertNoOther(object: SecretObject, identity: string): void {
  if (!Object.hasOwn(object.annotations, identityMark) || isOurs(object, identity)) return;
  throw new StrongroomError('key_clash', {
    detail: `The Secret ${object.name} is already ${object.annotations[identityMark]}, and can not be ${identity}.`,
    hint: 'Give this install another name or namespace.',
  });
}

function assertChangeable({ name, isImmutable, deletedAt }: SecretObject): void {
  if (deletedAt !== null) throw conflict(`The Secret ${name} is being deleted.`);
  if (isImmutable) throw new StrongroomError('state_conflict', { detail: `The Secret ${name} is immutable.` });
}

function bytesOf(data: Readonly<Record<string, string>>): number {
  return Object.values(data).reduce((sum, base64) => sum + decodedBytes(base64), 0);
}
