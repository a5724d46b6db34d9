import { checkVaultSegments, StrongroomError } from '@strongroom/contract/core';
import type { SecretValue } from '@strongroom/crypto';
import type { Egress, EgressResponse, Endpoint } from '../egress/index.ts';

/** Where a Vault or OpenBao is. */
export interface VaultTarget {
  /** Base URL, with or without a final `/`. */
  readonly address: string;
  readonly namespace?: string;
  /** PEM. */
  readonly caCertificate?: string;
}

export type VaultMethod = 'GET' | 'LIST' | 'POST' | 'PUT' | 'DELETE';

export interface VaultRequest {
  readonly signal: AbortSignal;
  readonly token?: SecretValue;
  readonly body?: SecretValue | undefined;
  /** Without the question mark, already encoded. */
  readonly query?: string | undefined;
  /** Asks about the server itself, which has no namespace. */
  readonly isAboutServer?: boolean;
  readonly maxBytes?: number | undefined;
}

export interface VaultAnswer {
  readonly status: number;
  /** Parsed JSON; `undefined` where there is no body or none of JSON. Plaintext may be in it. */
  readonly body: unknown;
  /** For what it says beside the body, which is gone. */
  readonly response: Pick<EgressResponse, 'header'>;
}

/** One request, from the look-up of the name to the last byte. */
const requestMilliseconds = 10_000;
const maxUrlLength = 8000;

/**
 * Sends requests to one Vault (https://developer.hashicorp.com/vault/api-docs) and reads what it answers, whatever the
 * status; knows nothing of tokens' lives. Never retries.
 */
export class VaultConnection {
  readonly #target: VaultTarget;
  /** What stands before the paths of the API. */
  readonly #base: string;
  readonly #egress: Egress;
  readonly #methods: ReadonlySet<VaultMethod>;
  /** Made by the first request: an address that is refused is found then. */
  #endpoint: Endpoint | undefined;

  /**
   * @param methods what may be sent besides log-ins
   * @throws StrongroomError `validation_failed` for a namespace that is none
   */
  constructor(target: VaultTarget, egress: Egress, methods: readonly VaultMethod[]) {
    if (target.namespace !== undefined) checkVaultSegments(target.namespace, 'namespace');
    this.#target = target;
    this.#base = `${target.address.replace(/\/$/, '')}/v1/`;
    this.#egress = egress;
    this.#methods = new Set(methods);
  }

  get isEncrypted(): boolean {
    return this.#target.address.startsWith('https:');
  }

  /** @throws StrongroomError `egress_denied` for an address that is refused by its text */
  checkAddress(): void {
    this.#egress.checkUrl(`${this.#base}sys/health`, { schemes: ['https', 'http'] });
  }

  /**
   * @param path segments after `/v1/`, with `/` between them, not encoded: the caller has checked each of them
   * @throws StrongroomError what the egress guard throws; `validation_failed` for a path that is too long
   */
  async send(method: VaultMethod, path: string, request: VaultRequest): Promise<VaultAnswer> {
    if (!this.#methods.has(method)) throw new TypeError(`${method} is not sent to this Vault`);
    return this.#exchange(method, path, request);
  }

  /** The one POST that an integration sends: `auth/MOUNT/login`. */
  async logIn(mount: string, body: SecretValue, signal: AbortSignal): Promise<VaultAnswer> {
    return this.#exchange('POST', `auth/${checkVaultSegments(mount, 'mount')}/login`, { signal, body });
  }

  async #exchange(method: VaultMethod, path: string, request: VaultRequest): Promise<VaultAnswer> {
    const { token, body, query, isAboutServer, maxBytes, signal } = request;
    const { namespace } = this.#target;
    const headers: Record<string, string | SecretValue> = {};
    if (token !== undefined) headers['x-vault-token'] = token;
    if (body !== undefined) headers['content-type'] = 'application/json';
    if (namespace !== undefined && isAboutServer !== true) headers['x-vault-namespace'] = namespace;
    this.#endpoint ??= this.#open();
    const response = await this.#endpoint.request(this.#encoded(path, query), {
      method,
      headers,
      body,
      signal,
      maxBytes,
      deadlineMilliseconds: requestMilliseconds,
    });
    try {
      return { status: response.status, body: response.byteLength === 0 ? undefined : readJson(response), response };
    } finally {
      response.destroy();
    }
  }

  #open(): Endpoint {
    const { caCertificate } = this.#target;
    return this.#egress.endpoint(this.#base, {
      // Agents and proxies of Vault refuse requests without the second, against request forgery.
      headers: { accept: 'application/json', 'x-vault-request': 'true' },
      ...(caCertificate === undefined ? {} : { ca: caCertificate }),
    });
  }

  #encoded(path: string, query: string | undefined): string {
    // Most paths have nothing to encode (RFC 3986 §2.3).
    const text = /^[\w\-.~/]*$/.test(path) ? path : path.split('/').map(encodeURIComponent).join('/');
    if (this.#base.length + text.length > maxUrlLength)
      throw new StrongroomError('validation_failed', { detail: 'The path in Vault is too long for a URL.' });
    return query === undefined ? text : `${text}?${query}`;
  }
}

/** What is no JSON is no answer of Vault; the status says what becomes of that. */
function readJson(response: Pick<EgressResponse, 'status' | 'json'>): unknown {
  if (response.status < 300) return response.json();
  try {
    return response.json();
  } catch (error) {
    if (error instanceof StrongroomError) return undefined;
    throw error;
  }
}

/** The server's own time, milliseconds, to the second; `undefined` where it doesn't say. */
export function serverTime({ response }: VaultAnswer): number | undefined {
  const time = Date.parse(response.header('date') ?? '');
  return Number.isNaN(time) ? undefined : time;
}
