import { errorCodesOf, errorTable, isErrorCode, Problem, type RouteDeclaration, routes } from '@strongroom/contract';
import { Ajv, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';
import type { Answer } from './app.ts';

/** Every route of the table, as declarations alone. */
export const allRoutes: readonly RouteDeclaration[] = routes;

const ajv = new Ajv({ strict: false, allErrors: false, code: { optimize: false } });
addFormats.default(ajv);
const isProblem = ajv.compile(Problem);
/** Of successes, by route id; compiled once for all worlds of a process. */
const schemas = new Map<string, ValidateFunction>();

/**
 * Holds every answer against the declaration of its route: status, media type, schema, error codes, the headers all answers
 * have. Problems are collected, so that one run names them all.
 */
export class Conformance {
  readonly #problems = new Set<string>();
  readonly #succeeded = new Set<string>();
  #answers = 0;

  /** What was wrong so far, each thing once. */
  get problems(): readonly string[] {
    return [...this.#problems].sort();
  }

  /** Ids of the routes that were seen to answer with their status of success. */
  get succeeded(): ReadonlySet<string> {
    return this.#succeeded;
  }

  get answers(): number {
    return this.#answers;
  }

  readonly see = (method: string, path: string, answer: Answer): void => {
    this.#answers += 1;
    const route = routeOf(method, path);
    const say = (problem: string): void => {
      this.#problems.add(`${route?.id ?? `${method} of no route`} ${answer.status}: ${problem}`);
    };
    if (answer.headers.get('cache-control') !== 'no-store') say('Cache-Control is not no-store');
    if (!/^[\w-]{8,64}$/.test(answer.headers.get('x-request-id') ?? '')) say('no X-Request-Id');
    const etag = answer.headers.get('etag');
    if (etag !== null && !/^"\d+"$/.test(etag)) say('the ETag is not a revision');
    // The answer to HEAD is the same without its body.
    if (method === 'HEAD') return;
    if (answer.status >= 400) this.#checkProblem(route, answer, say);
    else if (route === undefined) say('something that is not in the table answered');
    else this.#checkSuccess(route, answer, say);
  };

  #checkProblem(route: RouteDeclaration | undefined, answer: Answer, say: (problem: string) => void): void {
    if (answer.headers.get('content-type') !== 'application/problem+json') say('the media type is not problem+json');
    if (!isProblem(answer.body)) {
      say(`not a problem: ${ajv.errorsText(isProblem.errors)}`);
      return;
    }
    const { code, status, requestId } = answer.body as { code: string; status: number; requestId: string };
    if (!isErrorCode(code)) {
      say(`${code} is not in the table of errors`);
      return;
    }
    if (status !== answer.status || errorTable[code].status !== status) say(`${code} with the status ${status}`);
    if (requestId !== answer.headers.get('x-request-id')) say('requestId and X-Request-Id differ');
    if (route !== undefined && !codesOf(route).has(code)) say(`${code} is not declared`);
  }

  #checkSuccess(route: RouteDeclaration, answer: Answer, say: (problem: string) => void): void {
    if (answer.status !== route.status) {
      say(`declared is ${route.status}`);
      return;
    }
    this.#succeeded.add(route.id);
    const type = answer.headers.get('content-type');
    if (route.raw !== undefined) {
      const { mediaType, otherMediaTypes = [] } = route.raw;
      if (![mediaType, ...otherMediaTypes].some((declared) => type?.startsWith(declared)))
        say(`the media type is ${type}`);
      return;
    }
    if (route.response === undefined) {
      if (answer.text !== '' || type !== null) say('an answer without content has some');
      return;
    }
    if (type !== 'application/json; charset=utf-8') say(`the media type is ${type}`);
    const validate = schemas.get(route.id) ?? ajv.compile(route.response);
    schemas.set(route.id, validate);
    if (!validate(answer.body)) say(`outside its schema: ${ajv.errorsText(validate.errors)}`);
  }
}

const codes = new Map<RouteDeclaration, ReadonlySet<string>>();

function codesOf(route: RouteDeclaration): ReadonlySet<string> {
  const known = codes.get(route) ?? new Set(errorCodesOf(route));
  codes.set(route, known);
  return known;
}

/** By method and number of segments: a route is looked for at every answer. */
const bySize: ReadonlyMap<string, readonly { readonly route: RouteDeclaration; readonly pattern: RegExp }[]> =
  Map.groupBy(
    // Fixed segments go before parameters, as in the server.
    allRoutes
      .map((route) => ({ route, pattern: new RegExp(`^${route.path.replaceAll(/\{[^}]*\}/g, '[^/]*')}$`) }))
      .toSorted((a, b) => a.route.path.split('{').length - b.route.path.split('{').length),
    ({ route }) => sizeOf(route.method, route.path),
  );

function sizeOf(method: string, path: string): string {
  return `${method} ${path.split('/').length}`;
}

function routeOf(method: string, path: string): RouteDeclaration | undefined {
  const [place = ''] = path.split('?');
  return bySize.get(sizeOf(method === 'HEAD' ? 'GET' : method, place))?.find(({ pattern }) => pattern.test(place))
    ?.route;
}
