import { checkVaultSegments, StrongroomError } from '@strongroom/contract/core';
import type { SecretValue } from '@strongroom/crypto';
import type { Egress } from '../egress/index.ts';

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
  readonly body?: SecretValue;
  /** Without the question mark, already encoded. */
  readonly query?: string;
  /** Asks about the server itself, which has no namespace. */
  readonly isAboutServer?: boolean;
  readonly maxBytes?: number;
}

export interface VaultAnswer {
  readonly status: number;
  /** Parsed JSON; `undefined` where there is no body or none of JSON. Plaintext may be in it. */
  readonly body: unknown;
  readonly retryAfterSeconds: number | undefined;
  /** The server's own time, milliseconds, to the second; `undefined` where it doesn't say. */
  readonly serverTime: number | undefined;
}

/** One request, from the look-up of the name to the last byte. */
const requestMilliseconds = 10_000;
const maxUrlLength = 8000;
const maxRetryAfterSeconds = 3600;

/**
 * Sends requests to one Vault (https://developer.hashicorp.com/vault/api-docs) and reads what it answers, whatever the
 * status; knows nothing of tokens' lives. Never retries.
 */
export class VaultConnection {
  readonly #target: VaultTarget;
  readonly #base: string;
  readonly #egress: Egress;
  readonly #methods: ReadonlySet<VaultMethod>;

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
    this.#egress.checkUrl(this.#url('sys/health'), { schemes: ['https', 'http'] });
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
    const { namespace, caCertificate } = this.#target;
    const query = request.query === undefined ? '' : `?${request.query}`;
    const answer = await this.#egress.request(`${this.#url(path)}${query}`, {
      method,
      headers: {
        accept: 'application/json',
        // Agents and proxies of Vault refuse requests without it, against request forgery.
        'x-vault-request': 'true',
        ...(request.token === undefined ? {} : { 'x-vault-token': request.token }),
        ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(namespace === undefined || request.isAboutServer === true ? {} : { 'x-vault-namespace': namespace }),
      },
      ...(request.body === undefined ? {} : { body: request.body }),
      ...(caCertificate === undefined ? {} : { ca: caCertificate }),
      ...(request.maxBytes === undefined ? {} : { maxBytes: request.maxBytes }),
      signal: request.signal,
      deadlineMilliseconds: requestMilliseconds,
    });
    try {
      return {
        status: answer.status,
        body: answer.body.byteLength === 0 ? undefined : readJson(answer),
        retryAfterSeconds: retryAfterSeconds(answer.headers.get('retry-after')),
        serverTime: dateOf(answer.headers.get('date')),
      };
    } finally {
      answer.body.destroy();
    }
  }

  #url(path: string): string {
    const encoded = path.split('/').map(encodeURIComponent).join('/');
    const url = `${this.#base}${encoded}`;
    if (url.length > maxUrlLength)
      throw new StrongroomError('validation_failed', { detail: 'The path in Vault is too long for a URL.' });
    return url;
  }
}

/** What is no JSON is no answer of Vault; the status says what becomes of that. */
function readJson(answer: { readonly status: number; json(): unknown }): unknown {
  if (answer.status < 300) return answer.json();
  try {
    return answer.json();
  } catch (error) {
    if (error instanceof StrongroomError) return undefined;
    throw error;
  }
}

/** Seconds, or a date (RFC 9110 §10.2.3), which Vault doesn't send. */
function retryAfterSeconds(header: string | undefined): number | undefined {
  if (header === undefined || !/^\d{1,6}$/.test(header)) return undefined;
  return Math.min(Number(header), maxRetryAfterSeconds);
}

function dateOf(header = ''): number | undefined {
  const time = Date.parse(header);
  return Number.isNaN(time) ? undefined : time;
}
