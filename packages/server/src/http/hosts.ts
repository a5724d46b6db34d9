import { StrongroomError } from '@strongroom/contract';

/**
 * Which names this server answers to. A page of another site can make its own name resolve to this server (DNS
 * rebinding), and the browser then sends that name in `Host`; so a name is served only when it is ours.
 */
export class HostList {
  readonly #names: ReadonlySet<string>;
  readonly #publicOrigin: string | undefined;

  /** @param names host names or addresses without port, any case; loopback names are always in */
  constructor(names: readonly string[], publicUrl?: string) {
    const publicAddress = publicUrl === undefined ? undefined : new URL(publicUrl);
    this.#publicOrigin = publicAddress?.origin;
    const all = ['localhost', '127.0.0.1', '[::1]', ...names, ...(publicAddress ? [publicAddress.hostname] : [])];
    this.#names = new Set(all.map((name) => name.toLowerCase()));
  }

  /**
   * @param localAddress of the socket: an address typed as such can't be rebound, so probes may use it
   * @throws StrongroomError `request_malformed` without a Host, `host_not_allowed` for another's
   */
  check(host: string | undefined, localAddress: string | undefined): void {
    if (host === undefined || host === '')
      throw new StrongroomError('request_malformed', { detail: 'The header Host is missing.' });
    const name = host.replace(/:\d{1,5}$/, '').toLowerCase();
    if (this.#names.has(name)) return;
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
