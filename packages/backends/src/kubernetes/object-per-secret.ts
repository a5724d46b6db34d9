import pLimit from 'p-limit';
import { kubernetesServerVerbs, StrongroomError } from '@strongroom/contract/core';
import type { ErrorCode } from '@strongroom/contract/errors';
import type {
  CallOptions,
  Capabilities,
  Content,
  DeleteOptions,
  Entry,
  Expectation,
  GetOptions,
  PutOptions,
} from '../backend.ts';
import { adoptHint } from './adopt-hint.ts';
import { assertExpected, attempt, conflict } from './attempts.ts';
import { type Fingerprints, maxObjectBytes, readContent, tooLarge, writeContent } from './content.ts';
import type { Layout } from './layout.ts';
import { fingerprintMark, formatWriteMark, identityMark, intentMark, readWriteMark, shapeMark } from './marks.ts';
import { formatIdentity, type Identity, type Naming, objectName, scopeOfIdentity } from './names.ts';
import type { SecretApi, WriteOutcome } from './secret-api.ts';
import { changedObject, decodedBytes, newObject, type SecretObject } from './secret-object.ts';
import { malformed } from './statuses.ts';

/** The one key of the data. */
const valueKey = 'value';
const readsAtOnce = 16;
/** A name that nobody has, to try with. */
const trialKey = 'strongroom/connection/test';

export const objectPerSecretCapabilities: Capabilities = {
  // The role has no such verb; the catalogue knows what there is.
  list: false,
  put: true,
  delete: true,
  cas: true,
  // The current one alone can be read.
  versions: false,
  batch: 1,
  fields: 'json',
  limits: { valueBytes: maxObjectBytes },
};

/** What concerns one key alone; anything else concerns all of them. */
const ofOneKey: ReadonlySet<ErrorCode> = new Set(['backend_malformed', 'key_clash', 'validation_failed']);

export interface ObjectPerSecretParts {
  readonly api: SecretApi;
  readonly fingerprints: Fingerprints;
  readonly naming: Naming;
  /** Of every key but for the key. */
  readonly identity: Omit<Identity, 'key'>;
  readonly ownLabels: { readonly app: string; readonly 'managed-by': string };
  readonly tags: ReadonlyMap<string, string>;
}

/** Where an entry is, or would be. */
interface Place {
  readonly name: string;
  readonly identity: string;
  readonly object: SecretObject | null;
}

/** Each key a Secret with one key `value`, as OpenMetadata has them. The object's resourceVersion is the entry's version. */
export class ObjectPerSecretLayout implements Layout {
  readonly capabilities = objectPerSecretCapabilities;
  readonly verbs = kubernetesServerVerbs;
  readonly #parts: ObjectPerSecretParts;

  constructor(parts: ObjectPerSecretParts) {
    this.#parts = parts;
  }

  async get(key: string, { signal, version }: GetOptions): Promise<Entry | null> {
    const entry = await this.#entry(await this.#place(key, signal));
    if (version === undefined || entry === null || entry.version === version) return entry;
    throw new StrongroomError('not_supported', { detail: 'Kubernetes keeps no older versions of a Secret.' });
  }

  async getMany(
    keys: readonly string[],
    { signal }: CallOptions,
  ): Promise<Map<string, Entry | null | StrongroomError>> {
    const limit = pLimit(readsAtOnce);
    const stop = new AbortController();
    const shared = AbortSignal.any([signal, stop.signal]);
    try {
      const answers = [...new Set(keys)].map((key) =>
        limit(async () => [key, await this.#answer(key, shared)] as const),
      );
      return new Map(await Promise.all(answers));
    } catch (error) {
      limit.clearQueue();
      stop.abort();
      throw error;
    }
  }

  async list(): Promise<never> {
    throw new StrongroomError('not_supported', {
      detail: 'Secrets are not listed: the role of the store does not allow that, and needs not.',
      hint: 'The catalogue lists what the store has.',
    });
  }

  async put(key: string, content: Content, { signal, expect, intentId }: PutOptions): Promise<{ version: string }> {
    const { api, fingerprints, ownLabels, tags } = this.#parts;
    const { base64, mark } = await writeContent(content, intentId, fingerprints);
    return attempt(signal, async () => {
      const place = await this.#place(key, signal);
      const { name, identity, object } = place;
      if (object !== null) this.#assertWritable(object, key);
      await this.#assertExpected(expect, place);
      const data = { ...object?.data, [valueKey]: base64 };
      const bytes = Object.values(data).reduce((sum, each) => sum + decodedBytes(each), 0);
      if (bytes > maxObjectBytes) throw tooLarge('the value beside the other keys');
      const change = {
        labels: { ...object?.labels, ...Object.fromEntries(tags), ...ownLabels },
        annotations: { ...object?.annotations, ...formatWriteMark(mark), [identityMark]: identity },
        data,
      };
      const outcome: WriteOutcome =
        object === null
          ? await api.create(name, newObject(name, api.namespace, change), signal)
          : await api.replace(name, changedObject(object, change), signal);
      return outcome === 'conflict' ? outcome : { done: { version: outcome.written.resourceVersion } };
    });
  }

  async delete(key: string, { signal, expect }: DeleteOptions): Promise<void> {
    await attempt(signal, async () => {
      const place = await this.#place(key, signal);
      const { object } = place;
      if (object === null || !this.#hasEntry(object, place.identity)) return { done: undefined };
      this.#assertWritable(object, key);
      await this.#assertExpected(expect, place);
      const outcome = await this.#remove(object, signal);
      return outcome === 'conflict' ? outcome : { done: undefined };
    });
  }

  /**
   * Makes the object of a key ours, as it is: one that OpenMetadata wrote, or somebody by hand.
   *
   * @param isTrial changes nothing
   * @returns its name, and whether it was somebody else's. @throws StrongroomError `not_found`, `state_conflict`
   */
  async adopt(
    key: string,
    signal: AbortSignal,
    isTrial: boolean,
  ): Promise<{ readonly name: string; readonly isAdopted: boolean }> {
    const { api, naming, identity: common } = this.#parts;
    const identity = { ...common, key };
    const name = objectName(identity, naming);
    return attempt<{ name: string; isAdopted: boolean }>(signal, async () => {
      const object = await api.get(name, signal);
      if (object === null) throw new StrongroomError('not_found', { detail: `The namespace has no Secret ${name}.` });
      const mark = formatIdentity(identity);
      if (identityOf(object) === mark) return { done: { name, isAdopted: false } };
      assertNoOther(object, mark);
      assertChangeable(object);
      if (!Object.hasOwn(object.data ?? {}, valueKey))
        throw new StrongroomError('state_conflict', { detail: `The Secret ${name} has no key ${valueKey}.` });
      if (isTrial) return { done: { name, isAdopted: true } };
      const annotations = { ...object.annotations, [identityMark]: mark };
      const change = { labels: object.labels, annotations, data: object.data ?? {} };
      const outcome = await api.replace(name, changedObject(object, change), signal);
      return outcome === 'conflict' ? outcome : { done: { name, isAdopted: true } };
    });
  }

  async tryStore(signal: AbortSignal): Promise<string> {
    const { api, naming, identity } = this.#parts;
    await api.get(objectName({ ...identity, key: trialKey }, naming), signal);
    return `Each key is a Secret of its own in the namespace ${api.namespace}.`;
  }

  async #answer(key: string, signal: AbortSignal): Promise<Entry | null | StrongroomError> {
    try {
      return await this.#entry(await this.#place(key, signal));
    } catch (error) {
      if (error instanceof StrongroomError && ofOneKey.has(error.code)) return error;
      throw error;
    }
  }

  async #place(key: string, signal: AbortSignal): Promise<Place> {
    const { api, naming, identity: common } = this.#parts;
    const name = objectName({ ...common, key }, naming);
    const identity = formatIdentity({ ...common, key });
    return { name, identity, object: await api.get(name, signal) };
  }

  /** What is there is looked at only where that matters: one of ours that somebody broke can still be written and deleted. */
  async #assertExpected(expect: Expectation, place: Place): Promise<void> {
    if (expect.kind === 'any') return;
    const entry = await this.#entry(place);
    entry?.value.destroy();
    assertExpected(expect, entry);
  }

  /** Of this identity, or of nobody's though written under the same app; and not one from which we took the value ourselves. */
  #hasEntry(object: SecretObject, identity: string): boolean {
    const mark = identityOf(object);
    if (object.deletedAt !== null) return false;
    if (mark === null) return this.#isOfTheApp(object);
    const isReleased = !Object.hasOwn(object.data ?? {}, valueKey) && !Object.hasOwn(object.annotations, intentMark);
    return mark === identity && !isReleased;
  }

  /**
   * `null` for an object of another identity, of nobody we know, or whose deletion is under way. An object of ours without data
   * or without the value was broken by somebody: that is no absence.
   */
  async #entry({ object, identity }: Place): Promise<Entry | null> {
    if (object === null || !this.#hasEntry(object, identity)) return null;
    const { data } = object;
    const base64 = data !== null && Object.hasOwn(data, valueKey) ? data[valueKey] : undefined;
    if (base64 === undefined)
      throw malformed(data === null ? 'the Secret has no data' : `the Secret has no key ${valueKey}`);
    const isMarked = identityOf(object) !== null;
    const write = isMarked ? readWriteMark(object.annotations) : null;
    const content = await readContent(base64, write, this.#parts.fingerprints);
    const entry = { ...content, version: object.resourceVersion, updatedAt: object.changedAt };
    return write === null ? { ...entry, found: { isMarked } } : entry;
  }

  /** Written by OpenMetadata under the same app: it is read, and adopted before it is written. */
  #isOfTheApp({ labels }: SecretObject): boolean {
    return Object.hasOwn(labels, 'managed-by') && labels['managed-by'] === this.#parts.ownLabels['managed-by'];
  }

  #assertWritable(object: SecretObject, key: string): void {
    const { scope } = this.#parts.identity;
    const identity = formatIdentity({ ...this.#parts.identity, key });
    assertNoOther(object, identity);
    if (identityOf(object) === identity) return assertChangeable(object);
    if (!this.#isOfTheApp(object))
      throw new StrongroomError('key_clash', {
        detail: `The Secret ${object.name}, which this key would have, is somebody else’s.`,
        hint: `Take it away or choose another key. ${adoptHint(scope, key)}`,
      });
    throw new StrongroomError('state_conflict', {
      detail: `The Secret ${object.name} was not made by Strongroom, so that it is only read.`,
      hint: adoptHint(scope, key),
    });
  }

  /** The whole object, unless others have something in it. */
  async #remove(object: SecretObject, signal: AbortSignal): Promise<WriteOutcome | 'deleted'> {
    const { api } = this.#parts;
    const others = Object.entries(object.data ?? {}).filter(([name]) => name !== valueKey);
    if (others.length === 0) return api.delete(object, signal);
    const ours = new Set([intentMark, shapeMark, fingerprintMark]);
    const annotations = Object.fromEntries(Object.entries(object.annotations).filter(([name]) => !ours.has(name)));
    const change = { labels: object.labels, annotations, data: Object.fromEntries(others) };
    return api.replace(object.name, changedObject(object, change), signal);
  }
}

function identityOf({ annotations }: SecretObject): string | null {
  return Object.hasOwn(annotations, identityMark) ? (annotations[identityMark] ?? null) : null;
}

/** Both are named, unless the other one is of a scope whose names its users need not know. */
function assertNoOther(object: SecretObject, identity: string): void {
  const other = identityOf(object);
  if (other === null || other === identity) return;
  const [otherScope, scope] = [scopeOfIdentity(other), scopeOfIdentity(identity)];
  const isNamed = otherScope === scope || otherScope === 'global' || scope === 'admin' || scope === 'global';
  throw new StrongroomError('key_clash', {
    detail: `The Secret ${object.name} is ${isNamed ? other : 'of another scope'}, and can not be ${identity}.`,
    hint: 'Choose another key, or naming: unique, which tells such keys apart by a hash.',
  });
}

function assertChangeable({ name, isImmutable, deletedAt }: SecretObject): void {
  if (deletedAt !== null) throw conflict(`The Secret ${name} is being deleted.`);
  if (isImmutable) throw new StrongroomError('state_conflict', { detail: `The Secret ${name} is immutable.` });
}
