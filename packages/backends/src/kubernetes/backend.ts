import { StrongroomError } from '@strongroom/contract/core';
import type {
  Backend,
  CallOptions,
  Capabilities,
  CheckLine,
  Content,
  DeleteOptions,
  Entry,
  GetOptions,
  ListOptions,
  ListPage,
  PutOptions,
} from '../backend.ts';
import { EgressError } from '../egress/errors.ts';
import { checkStore } from './check.ts';
import type { ObjectPerSecretLayout } from './object-per-secret.ts';
import { ScopeObjectLayout } from './scope-objects.ts';
import type { SecretApi } from './secret-api.ts';

/** What an adoption did, or would do. */
export interface Adoption {
  /** Name of the Secret. */
  readonly object: string;
  /** `false`: it was ours before. */
  readonly isAdopted: boolean;
  /** The keys that are ours with it. */
  readonly keys: readonly string[];
}

/** A scope's managed store in Kubernetes. */
export class KubernetesBackend implements Backend {
  readonly type = 'kubernetes';
  readonly capabilities: Capabilities;
  readonly #api: SecretApi;
  readonly #layout: ScopeObjectLayout | ObjectPerSecretLayout;
  readonly #release: () => Promise<void>;
  #isClosed = false;

  constructor(api: SecretApi, layout: ScopeObjectLayout | ObjectPerSecretLayout, release: () => Promise<void>) {
    this.#api = api;
    this.#layout = layout;
    this.#release = release;
    this.capabilities = layout.capabilities;
  }

  async get(key: string, options: GetOptions): Promise<Entry | null> {
    return this.#open(options.signal).get(key, options);
  }

  async getMany(
    keys: readonly string[],
    options: CallOptions,
  ): Promise<ReadonlyMap<string, Entry | null | StrongroomError>> {
    return this.#open(options.signal).getMany(keys, options);
  }

  async list(options: ListOptions): Promise<ListPage> {
    return this.#open(options.signal).list(options);
  }

  async put(key: string, content: Content, options: PutOptions): Promise<{ readonly version: string | null }> {
    return this.#open(options.signal).put(key, content, options);
  }

  async delete(key: string, options: DeleteOptions): Promise<void> {
    await this.#open(options.signal).delete(key, options);
  }

  async check({ signal }: CallOptions): Promise<readonly CheckLine[]> {
    return checkStore(this.#api, this.#layout, signal);
  }

  /**
   * Makes what somebody else wrote ours, as it is: the whole object of the scope, or the object of each key where each has its
   * own. It can be read and written from then on.
   *
   * @param keys only where each key has an object of its own
   * @param isTrial changes nothing
   * @throws StrongroomError `not_found`, `key_clash`, `validation_failed`
   */
  async adopt(
    keys: readonly string[],
    { signal, isTrial }: CallOptions & { readonly isTrial: boolean },
  ): Promise<readonly Adoption[]> {
    const layout = this.#open(signal);
    if (layout instanceof ScopeObjectLayout) {
      if (keys.length > 0) throw invalid('In the layout scope-objects all keys of the scope are adopted together.');
      const adopted = await layout.adopt(signal, isTrial);
      return [{ object: layout.objectName, ...adopted }];
    }
    if (keys.length === 0)
      throw invalid('Name the keys: in the layout object-per-secret each has a Secret of its own.');
    const adoptions: Adoption[] = [];
    for (const key of keys) {
      const { name, isAdopted } = await layout.adopt(key, signal, isTrial);
      adoptions.push({ object: name, isAdopted, keys: [key] });
    }
    return adoptions;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#release();
  }

  #open(signal: AbortSignal): ScopeObjectLayout | ObjectPerSecretLayout {
    if (this.#isClosed)
      throw new EgressError('backend_unavailable', 'reachable', { detail: 'The store in Kubernetes was closed.' });
    if (!signal.aborted) return this.#layout;
    if (signal.reason instanceof StrongroomError) throw signal.reason;
    throw new EgressError('deadline_exceeded', 'address', { detail: 'The call was given up before it began.' });
  }
}

function invalid(detail: string): StrongroomError {
  return new StrongroomError('validation_failed', { detail });
}
