import { type Address, parseAddress } from './addresses.ts';
import { type AllowEntry, allowsAddress, allowsName, allowsNetwork, parseAllowEntry } from './allow-list.ts';
import { denied, type EgressError } from './errors.ts';
import { isLoopbackName } from './host-name.ts';
import type { Target } from './target.ts';

export interface PolicyOptions {
  readonly allow: readonly string[];
  readonly allowLoopback: boolean;
  readonly hasProxy: boolean;
}

/** What one use of the guard changes in the rules. */
export interface UseRules {
  /** Suffixes of a vendor's own host names (`.vault.azure.net`); on port 443 they may have private addresses (PrivateLink). */
  readonly vendor: readonly string[];
  /** The connection carries plaintext that must stay on this machine. */
  readonly requireLoopback: boolean;
}

/** The addresses of the loopback names, which no resolver is asked for (RFC 6761 §6.3). */
export const loopbackAddresses: readonly Address[] = ['127.0.0.1', '::1'].flatMap((text) => parseAddress(text) ?? []);

/** Decides about addresses; asks nobody. */
export class Policy {
  readonly #entries: readonly AllowEntry[];
  readonly #allowLoopback: boolean;
  readonly #hasProxy: boolean;

  /** @throws AllowEntryError */
  constructor(options: PolicyOptions) {
    this.#entries = options.allow.map(parseAllowEntry);
    this.#allowLoopback = options.allowLoopback;
    this.#hasProxy = options.hasProxy;
  }

  /**
   * What the text alone decides.
   *
   * @throws EgressError `egress_denied`
   */
  checkTarget(target: Target, rules: UseRules): void {
    const { host, port, address } = target;
    if (this.#staysHere(target)) {
      const own = address === null ? loopbackAddresses : [address];
      if (!own.some((one) => this.#allows(one, target, rules))) throw refusal(target);
      return;
    }
    if (rules.requireLoopback && (address !== null || this.#hasProxy)) throw plaintextRefusal(target);
    if (address !== null) {
      if (!this.#allows(address, target, rules)) throw refusal(target);
      if (this.#hasProxy && !allowsNetwork(this.#entries, address, port)) throw proxyRefusal(target);
    } else if (this.#hasProxy && !allowsName(this.#entriesFor(rules), host, port)) throw proxyRefusal(target);
  }

  /**
   * What a name leads to: all of its addresses have to be allowed, so that an answer that mixes them gets nowhere.
   *
   * @throws EgressError `egress_denied`
   */
  checkAddresses(target: Target, addresses: readonly Address[], rules: UseRules): void {
    for (const address of addresses) {
      if (!this.#allows(address, target, rules)) throw refusal(target);
      if (rules.requireLoopback && address.kind !== 'loopback') throw plaintextRefusal(target);
    }
  }

  /** Whether the connection goes through the proxy: never what means this machine, which would be the proxy's own. */
  usesProxy(target: Target): boolean {
    return this.#hasProxy && !this.#staysHere(target);
  }

  #staysHere({ host, address }: Target): boolean {
    return address === null ? isLoopbackName(host) : address.kind === 'loopback';
  }

  #allows(address: Address, { host, port, address: typed }: Target, rules: UseRules): boolean {
    if (address.kind === 'loopback' && this.#allowLoopback) return true;
    return allowsAddress(this.#entriesFor(rules), address, typed === null ? host : null, port);
  }

  #entriesFor({ vendor }: UseRules): readonly AllowEntry[] {
    return vendor.length === 0
      ? this.#entries
      : [...this.#entries, ...vendor.map((suffix) => parseAllowEntry(`${suffix}:443`))];
  }
}

function refusal({ label, address }: Target): EgressError {
  return denied(
    address === null ? `${label} leads to an address that is not allowed.` : `The address ${label} is not allowed.`,
    'An operator can allow it with STRONGROOM_EGRESS_ALLOW (host-suffix:port or CIDR:port).',
  );
}

function proxyRefusal({ label }: Target): EgressError {
  return denied(
    `${label} is not on the list of what may be reached through the proxy.`,
    'An operator can add it to STRONGROOM_EGRESS_ALLOW (host-suffix:port or CIDR:port).',
  );
}

function plaintextRefusal({ label }: Target): EgressError {
  return denied(`${label} would be reached without TLS.`, 'Use TLS (https://): plaintext is for this machine alone.');
}
