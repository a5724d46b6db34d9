import type { RouteDeclaration } from '@strongroom/contract';
import type { Answer, RequestOptions } from './app.ts';
import { type MatrixWorld, pathTo } from './matrix-world.ts';

/** One request for a route; `about` is what a failure says. */
interface RouteCase {
  readonly about: string;
  readonly route: RouteDeclaration;
  /** Default: what of this route is there in `finance`. */
  readonly path?: string;
  readonly options?: RequestOptions;
}

/** Asks as one administrator of several, from a network of its own each time: limits a minute are not what is tested. */
export class Asker {
  readonly #world: MatrixWorld;
  #turn = 0;

  constructor(world: MatrixWorld) {
    this.#world = world;
  }

  pathOf(route: RouteDeclaration): string {
    return pathTo(route, this.#world.finance, this.#world.platform);
  }

  send(route: RouteDeclaration, options: RequestOptions = {}, path = this.pathOf(route)): Promise<Answer> {
    this.#turn += 1;
    const turn = this.#turn;
    const { admins, test } = this.#world;
    const network = `10.${(turn >> 16) & 255}.${(turn >> 8) & 255}.${turn & 255}`;
    return test.request(route.method, path, {
      token: admins[turn % admins.length] ?? null,
      ...options,
      headers: { 'x-forwarded-for': network, ...options.headers },
    });
  }

  /** Sends all and names those whose answer is not right. */
  async strays(cases: readonly RouteCase[], isRight: (answer: Answer) => boolean): Promise<string[]> {
    const wrong: string[] = [];
    await Promise.all(
      cases.map(async ({ about, route, path, options }) => {
        const answer = await this.send(route, options, path);
        if (!isRight(answer)) wrong.push(`${route.id} ${about}: ${answer.status} ${answer.text.slice(0, 300)}`);
      }),
    );
    return wrong.slice(0, 40);
  }
}

/** For {@link Asker.strays}. */
export const statusIn =
  (...statuses: readonly number[]) =>
  (answer: Answer): boolean =>
    statuses.includes(answer.status);
