import { StrongroomError } from '@strongroom/contract/core';
import { SecretValue } from '@strongroom/crypto';
import type { EgressStream } from '../egress/index.ts';
import { isObject, own } from '../vault/json.ts';
import type { ApiAnswer, ApiConnection } from './api.ts';
import { malformed, statusError } from './statuses.ts';

/** Where objects of one kind are (https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris). */
export interface ObjectKind {
  /** `v1`, or `GROUP/VERSION`. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
}

/** What every object has; the rest of it is read member by member. */
export interface FoundObject {
  readonly name: string;
  readonly uid: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly isBeingDeleted: boolean;
  /** As it came. */
  readonly body: unknown;
}

/** Objects that depend on the deleted one go after it, or before it (`foreground`: it is there until they are gone). */
export type Propagation = 'background' | 'foreground';

/** Seconds until the API server ends a watch by itself. */
const watchSeconds = 240;
const maxEventBytes = 8 * 1024 * 1024;
const watchLimits = { beginMilliseconds: 10_000, idleMilliseconds: (watchSeconds + 30) * 1000 } as const;
/** A job may be silent for long; a connection that is cut without a word is noticed after it. */
const logLimits = { beginMilliseconds: 10_000, idleMilliseconds: 900_000 } as const;

/**
 * Objects of one namespace: made, read, watched and deleted, never changed. All of it throws StrongroomError: what the connection
 * throws, and a status that is not the answer, in our words (`backend_denied`, `validation_failed`, `backend_throttled`, …).
 */
export class NamespaceObjects {
  readonly #api: ApiConnection;
  readonly #namespace: string;

  constructor(api: ApiConnection, namespace: string) {
    this.#api = api;
    this.#namespace = namespace;
  }

  /** @param manifest JSON; destroyed @throws StrongroomError `version_conflict` when its name is taken, beside the rest */
  async create(kind: ObjectKind, manifest: SecretValue, signal: AbortSignal): Promise<FoundObject> {
    const about = `making a ${kind.kind}`;
    const answer = await this.#api.send({ method: 'POST', path: this.#path(kind), body: manifest }, signal);
    if (answer.status === 404)
      throw new StrongroomError('runner_unavailable', {
        detail: `The cluster has no such namespace, or does not know ${kind.kind} ${kind.apiVersion}.`,
        hint: 'An administrator makes the namespace, and installs the operator that a SparkApplication needs.',
      });
    if (answer.status !== 201) throw statusError(answer, about);
    return found(answer.body, about);
  }

  /** `null`: there is none. */
  async get(kind: ObjectKind, name: string, signal: AbortSignal): Promise<FoundObject | null> {
    const about = `reading a ${kind.kind}`;
    const answer = await this.#api.send({ method: 'GET', path: this.#path(kind, name) }, signal);
    if (answer.status === 404 && isAbsence(answer)) return null;
    if (answer.status !== 200) throw statusError(answer, about);
    return found(answer.body, about);
  }

  /** Whether the name is taken, asked as who may create objects and not read them: by a create that changes nothing (`dryRun`). */
  async isTaken({ kind, apiVersion, plural }: ObjectKind, name: string, signal: AbortSignal): Promise<boolean> {
    const about = `asking whether there is a ${kind}`;
    const body = SecretValue.fromText(JSON.stringify({ apiVersion, kind, metadata: { name } }));
    const path = `${this.#path({ kind, apiVersion, plural })}?dryRun=All`;
    const answer = await this.#api.send({ method: 'POST', path, body }, signal);
    if (answer.status !== 409 && answer.status !== 201) throw statusError(answer, about);
    return answer.status === 409;
  }

  /** At most 500. */
  async list(kind: ObjectKind, labels: Readonly<Record<string, string>>, signal: AbortSignal): Promise<FoundObject[]> {
    const about = `listing ${kind.plural}`;
    const path = `${this.#path(kind)}?limit=500&labelSelector=${selectorOf(labels)}`;
    const answer = await this.#api.send({ method: 'GET', path }, signal);
    if (answer.status !== 200) throw statusError(answer, about);
    const items = own(answer.body, 'items');
    if (!Array.isArray(items)) throw malformed(about);
    return (items as readonly unknown[]).map((item) => found(item, about));
  }

  /** Deletes the object with this uid. `false`: there is another one of its name by now. That there is none is fine. */
  async delete(
    kind: ObjectKind,
    { name, uid }: Pick<FoundObject, 'name' | 'uid'>,
    propagation: Propagation,
    signal: AbortSignal,
  ): Promise<boolean> {
    const options = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      preconditions: { uid },
      propagationPolicy: propagation === 'foreground' ? 'Foreground' : 'Background',
    };
    const body = SecretValue.fromText(JSON.stringify(options));
    const answer = await this.#api.send({ method: 'DELETE', path: this.#path(kind, name), body }, signal);
    if (answer.status === 409) return false;
    const isGone = answer.status === 404 && isAbsence(answer);
    if (answer.status !== 200 && answer.status !== 202 && !isGone) throw statusError(answer, `deleting a ${kind.kind}`);
    return true;
  }

  /**
   * Says which objects there are and then which change, by their labels, until the API server or the signal ends it. It begins
   * without a version, so that none can be too old (410); who needs every state reads the object.
   */
  async watch(
    kind: ObjectKind,
    labels: Readonly<Record<string, string>>,
    changed: (labels: ReadonlyMap<string, string>) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const about = `watching ${kind.plural}`;
    const path = `${this.#path(kind)}?watch=true&timeoutSeconds=${watchSeconds}&labelSelector=${selectorOf(labels)}`;
    const stream = await this.#api.stream(path, watchLimits, signal);
    await requireOk(stream, about);
    for await (const line of linesOf(stream.chunks)) {
      const event = parsed(line, about);
      if (own(event, 'type') === 'ERROR') return;
      changed(labelsOf(own(event, 'object')));
    }
  }

  /**
   * The output of a container, both streams in one, line by line with the time of each in front (`timestamps`).
   *
   * @param since of the newest line that is had: RFC 3339; the API server cuts it to seconds
   * @throws StrongroomError, also while the container has not begun (`backend_malformed`) or is gone
   */
  async *log(
    pod: string,
    options: { readonly container: string; readonly since?: string; readonly isFollowed: boolean },
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const query = new URLSearchParams({
      container: options.container,
      timestamps: 'true',
      follow: String(options.isFollowed),
      ...(options.since === undefined ? {} : { sinceTime: options.since }),
    });
    const path = `${this.#path(pods, pod)}/log?${query.toString()}`;
    const stream = await this.#api.stream(path, logLimits, signal);
    await requireOk(stream, 'reading the log of a Pod');
    yield* stream.chunks;
  }

  #path({ apiVersion, plural }: ObjectKind, name?: string): string {
    const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const path = `${root}/namespaces/${encodeURIComponent(this.#namespace)}/${plural}`;
    return name === undefined ? path : `${path}/${encodeURIComponent(name)}`;
  }
}

export const pods: ObjectKind = { apiVersion: 'v1', kind: 'Pod', plural: 'pods' };

function selectorOf(labels: Readonly<Record<string, string>>): string {
  return encodeURIComponent(
    Object.entries(labels)
      .map(([name, value]) => `${name}=${value}`)
      .join(','),
  );
}

function found(body: unknown, about: string): FoundObject {
  const metadata = own(body, 'metadata');
  const [name, uid] = [own(metadata, 'name'), own(metadata, 'uid')];
  if (typeof name !== 'string' || typeof uid !== 'string') throw malformed(about);
  const isBeingDeleted = typeof own(metadata, 'deletionTimestamp') === 'string';
  return { name, uid, labels: labelsOf(body), isBeingDeleted, body };
}

function labelsOf(body: unknown): ReadonlyMap<string, string> {
  const labels = own(own(body, 'metadata'), 'labels');
  if (!isObject(labels)) return new Map();
  return new Map(Object.entries(labels).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

/** The API server's own 404; a proxy on the way, or a kind that the cluster doesn't have, has another one. */
function isAbsence({ body }: ApiAnswer): boolean {
  const name = own(own(body, 'details'), 'name');
  return own(body, 'kind') === 'Status' && own(body, 'reason') === 'NotFound' && typeof name === 'string';
}

async function requireOk(stream: EgressStream, about: string): Promise<void> {
  const { status } = stream;
  if (status === 200) return;
  stream.cancel();
  throw statusError({ status, body: undefined, retryAfterSeconds: undefined }, about);
}

function parsed(line: Uint8Array, about: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(line)) as unknown;
  } catch {
    // The parser quotes its input.
    throw malformed(about);
  }
}

/** Whole lines without their end; what comes after the last end is cut off and dropped. */
async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      yield Buffer.concat([...parts, chunk.subarray(start, end)]);
      parts = [];
      bytes = 0;
      start = end + 1;
    }
    parts.push(chunk.subarray(start));
    bytes += chunk.length - start;
    if (bytes > maxEventBytes) throw malformed('watching');
  }
}
