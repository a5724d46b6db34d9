import type { RouteDeclaration } from '../route.ts';
import { keyRoutes } from './keys.ts';

/** Every route of the API: the server registers these, the OpenAPI document and the client are made from them. */
export const routes = [...keyRoutes] as const satisfies readonly RouteDeclaration[];
