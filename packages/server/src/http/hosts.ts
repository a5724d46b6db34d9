import { StrongroomError } from '@strongroom/contract';

/** Spellings of a served name: ports and letter case. */
const maxServed = 100;

/**
 * Which names this server answers to. A page of another site can make its own name resolve to this server (DNS
 * rebinding), and the browser then sends that name in `Host`; so a name is served only when it is ours.
 */
export class HostList {
  readonly #names: ReadonlySet<string>;
  /** Headers as they came, already found to name one of these. */
  readonly #served = new Set<string>();
  /** The one of them that came last, which the next request mostly names, too: a comparison is cheaper than a lookup. */
  #lastServed: string | undefined;
  readonly #publicOrigin: string | undefined;

  /** @param names host names or addresses without port, any case; loopback names are always in */
  constructor(names: readonly string[], publicUrl?: string) {
    const publicAddress = publicUrl === undefined ? undefined : new URL(publicUrl);
    this.#publicOrigin = publicAddress?.origin;
    const all = ['localhost', '127.0.0.1', '[::1]', ...names, ...(publicAddress ? [publicAddress.hostname] : [])];
    this.#names = new Set(all.map((name) => name.toLowerCase()));
  }

  /**
   * @param socket with the local address: one typed as such can't be rebound, so probes may use it
   * @throws StrongroomError `request_malformed` without a Host, `host_not_allowed` for another's
   */
  check(host: string | undefined, socket: { readonly localAddress?: string | undefined }): void {
    if (host === undefined || host === '')
      throw new StrongroomError('request_malformed', { detail: 'The header Host is missing.' });
    if (host === this.#lastServed) return;
    if (this.#served.has(host)) {
      this.#lastServed = host;
      return;
    }
    const name = host.replace(/:\d{1,5}$/, '').toLowerCase();
    if (this.#names.has(name)) {
      if (this.#served.size < maxServed) this.#served.add(host);
      return;
    }
    const { localAddress } = socket;
    if (
      localAddress !== undefined &&
      (name === localAddress || name === `[${localAddress}]` || `::ffff:${name}` === localAddress)
    )
      return;
    throw new StrongroomError('host_not_allowed');
  }

  /**
   * Whether a browser says that a page of this server made the request. Programs other than browsers send neither header.
   * https://developer.mozilla.org/docs/Web/HTTP/Headers/Sec-Fetch-Site
   */
  isSameOrigin(headers: {
    readonly host?: string | undefined;
    readonly origin?: string | undefined;
    readonly 'sec-fetch-site'?: string | string[] | undefined;
  }): boolean {
    const site = headers['sec-fetch-site'];
    if (site !== undefined && site !== 'same-origin' && site !== 'none') return false;
    const { origin, host } = headers;
    return (
      origin === undefined ||
      origin === this.#publicOrigin ||
      origin === `http://${host}` ||
      origin === `https://${host}`
    );
  }
}
