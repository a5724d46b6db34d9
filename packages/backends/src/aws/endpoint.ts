import type { AddressRules, Egress } from '../egress/index.ts';

/** Where one service of AWS is, and what the egress guard is told about that. */
export interface Endpoint {
  /** Without a final `/`. */
  readonly url: string;
  readonly rules: AddressRules;
}

/**
 * A region's own endpoint, or the one that was typed. The region's own name and the names of VPC endpoints of just this
 * service and region may have private addresses (PrivateLink); others below `amazonaws.com` may be anybody's.
 */
export function endpointOf(regional: URL, typed: string | undefined): Endpoint {
  const { hostname, origin } = regional;
  const [service = '', region = '', ...suffix] = hostname.split('.');
  return {
    url: (typed ?? origin).replace(/\/$/, ''),
    rules: { vendor: [hostname, `.${service}.${region}.vpce.${suffix.join('.')}`] },
  };
}

/**
 * Reads the address as it was typed; the SDK hands on what a browser would make of it.
 *
 * @throws EgressError `egress_denied`
 */
export function checkEndpoint({ url, rules }: Endpoint, egress: Egress): void {
  egress.checkUrl(url, { schemes: ['https', 'http'], ...rules });
}
