export { AllowEntryError, parseAllowEntry } from './allow-list.ts';
export {
  type AddressRules,
  type ConnectOptions,
  createEgress,
  type Egress,
  type EgressOptions,
  type Endpoint,
  type EndpointRules,
  type RequestOptions,
  type SendOptions,
  type StartTlsOptions,
  type StreamOptions,
  type UrlRules,
} from './egress.ts';
export type { TlsOptions } from './connect.ts';
export { EgressError, type EgressStep } from './errors.ts';
export { isProxyUrl } from './proxy.ts';
export type { Headers } from './request-headers.ts';
export { resolveByServers, resolveBySystem, type Resolve } from './resolve.ts';
export type { EgressResponse } from './response.ts';
export type { EgressStream, StreamLimits } from './stream.ts';
export type { CheckedUrl } from './target.ts';
