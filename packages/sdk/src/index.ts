export { checkServerAddress } from './address.ts';
export { type Client, type ClientOptions, createClient, type FullAnswer } from './client.ts';
export { type ErrorCode, type FieldError, ServerError, StrongroomError } from './errors.ts';
export type { CallInput, CallOptions, CallResult, ItemOf, ListId, RawAnswer, RouteId } from './route-types.ts';
