import type { kubernetesServerVerbs } from '@strongroom/contract/core';
import { SecretValue } from '@strongroom/crypto';
import { own } from '../vault/json.ts';
import type { ApiAnswer, ApiConnection, ApiMethod } from './api.ts';
import { readSecretObject, type SecretObject } from './secret-object.ts';
import { malformed, statusError } from './statuses.ts';

/** `conflict`: another write came first, or the object came or went meanwhile. */
export type WriteOutcome = { readonly written: SecretObject } | 'conflict';

export type Verb = (typeof kubernetesServerVerbs)[number];

/** The Secrets of one namespace, each by its name: that is all that the least role allows. */
export class SecretApi {
  readonly namespace: string;
  readonly connection: ApiConnection;

  constructor(connection: ApiConnection, namespace: string) {
    this.connection = connection;
    this.namespace = namespace;
  }

  /** `null` when there is no such object. */
  async get(name: string, signal: AbortSignal): Promise<SecretObject | null> {
    const about = 'reading the Secret';
    const answer = await this.#send('GET', this.#path(name), undefined, signal);
    if (answer.status === 404) return assertNotFound(answer, about);
    if (answer.status !== 200) throw statusError(answer, about);
    return readSecretObject(answer.body, name, about);
  }

  async create(name: string, object: object, signal: AbortSignal): Promise<WriteOutcome> {
    const about = 'making the Secret';
    const answer = await this.#send('POST', this.#path(), object, signal);
    if (answer.status === 409) return 'conflict';
    if (answer.status !== 201) throw statusError(answer, about);
    return { written: readSecretObject(answer.body, name, about) };
  }

  /** Writes over the version that the object says it is of. */
  async replace(name: string, object: object, signal: AbortSignal): Promise<WriteOutcome> {
    const about = 'writing the Secret';
    const answer = await this.#send('PUT', this.#path(name), object, signal);
    if (answer.status === 409) return 'conflict';
    if (answer.status === 404) {
      assertNotFound(answer, about);
      return 'conflict';
    }
    if (answer.status !== 200) throw statusError(answer, about);
    return { written: readSecretObject(answer.body, name, about) };
  }

  /** Deletes just this version of just this object. */
  async delete({ name, uid, resourceVersion }: SecretObject, signal: AbortSignal): Promise<'deleted' | 'conflict'> {
    const about = 'deleting the Secret';
    const options = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid, resourceVersion } };
    const answer = await this.#send('DELETE', this.#path(name), options, signal);
    if (answer.status === 409) return 'conflict';
    if (answer.status === 404) {
      assertNotFound(answer, about);
      return 'deleted';
    }
    if (answer.status !== 200 && answer.status !== 202) throw statusError(answer, about);
    return 'deleted';
  }

  /**
   * Whether the role allows it; `null` when the cluster doesn't say. Changes nothing.
   *
   * @param name of the Secret that it is about: a role may be held to names, but for `create`, which nobody can be held to
   */
  async isAllowed(verb: Verb, name: string | undefined, signal: AbortSignal): Promise<boolean | null> {
    const about = 'asking what is allowed';
    const named = name === undefined || verb === 'create' ? {} : { name };
    const review = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes: { namespace: this.namespace, verb, resource: 'secrets', ...named } },
    };
    const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
    const answer = await this.#send('POST', path, review, signal);
    if (answer.status === 403 || answer.status === 404) return null;
    if (answer.status !== 201) throw statusError(answer, about);
    const allowed = own(own(answer.body, 'status'), 'allowed');
    if (typeof allowed !== 'boolean') throw malformed(about);
    return allowed;
  }

  async #send(method: ApiMethod, path: string, body: object | undefined, signal: AbortSignal): Promise<ApiAnswer> {
    const sent = body === undefined ? {} : { body: SecretValue.fromText(JSON.stringify(body)) };
    return this.connection.send({ method, path, ...sent }, signal);
  }

  #path(name?: string): string {
    const path = `/api/v1/namespaces/${encodeURIComponent(this.namespace)}/secrets`;
    return name === undefined ? path : `${path}/${encodeURIComponent(name)}`;
  }
}

/** A proxy on the way has other pages for what isn't there. */
function assertNotFound({ body }: ApiAnswer, about: string): null {
  if (own(body, 'kind') === 'Status' && own(body, 'reason') === 'NotFound') return null;
  throw malformed(about);
}
