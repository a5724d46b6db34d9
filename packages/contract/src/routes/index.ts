import type { RouteDeclaration } from '../route.ts';

/** Every route of the API: the server registers these, the OpenAPI document and the client are made from them. */
export const routes = [] as const satisfies readonly RouteDeclaration[];
