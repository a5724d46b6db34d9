import type { RouteDeclaration } from '@strongroom/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, codeOf, type RequestOptions } from '../../testing/app.ts';
import { bodyFor } from '../../testing/bodies.ts';
import { allRoutes } from '../../testing/conformance.ts';
import { type MatrixWorld, openMatrixWorld } from '../../testing/matrix-world.ts';
import { parametersOf, pathTo, withQuery } from '../../testing/route-paths.ts';
import { freshName, placesOf, plainSchema, sample, textPlaces } from '../../testing/samples.ts';
import { rowCounts } from '../../testing/shapes.ts';

let world: MatrixWorld;

beforeAll(async () => {
  world = await openMatrixWorld();
});
afterAll(() => world.test.close());

const writing = allRoutes.filter(({ method }) => method !== 'GET');
const withBody = allRoutes.filter(({ body }) => body !== undefined);

let turn = 0;

/** As one administrator of several, from a network of its own: limits a minute are not what is tested here. */
function send(route: RouteDeclaration, path: string, options: RequestOptions = {}): Promise<Answer> {
  turn += 1;
  const network = `10.${(turn >> 16) & 255}.${(turn >> 8) & 255}.${turn & 255}`;
  return world.test.request(route.method, path, {
    token: world.admins[turn % world.admins.length] ?? null,
    ...options,
    headers: { 'x-forwarded-for': network, ...options.headers },
  });
}

const pathOf = (route: RouteDeclaration): string => pathTo(route, world.finance, world.platform);

interface Case {
  readonly about: string;
  readonly route: RouteDeclaration;
  readonly path?: string;
  readonly options?: RequestOptions;
}

/** Sends all and names those whose answer isn't one of these. */
async function strays(cases: readonly Case[], isRight: (answer: Answer) => boolean): Promise<string[]> {
  const wrong: string[] = [];
  await Promise.all(
    cases.map(async ({ about, route, path, options }) => {
      const answer = await send(route, path ?? pathOf(route), options);
      if (!isRight(answer)) wrong.push(`${route.id} ${about}: ${answer.status} ${answer.text.slice(0, 300)}`);
    }),
  );
  return wrong.slice(0, 40);
}

const statusIn =
  (...statuses: readonly number[]) =>
  (answer: Answer): boolean =>
    statuses.includes(answer.status);

describe('a body', () => {
  it('with the same key twice is not read, at any depth, however the key is written', async () => {
    const texts = ['{"name":1,"name":1}', '{"a":{"b":1,"b":2}}', '{"a":[{"b":1,"\\u0062":2}]}'];
    const cases = writing.flatMap((route) => {
      const [first] = Object.keys(plainSchema(route.body ?? {}).properties ?? { x: 1 });
      return [...texts, `{"${first}":null,"${first}":null}`].map((rawBody) => ({
        about: rawBody,
        route,
        options: { rawBody },
      }));
    });
    expect(cases.length).toBeGreaterThan(300);
    expect(await strays(cases, statusIn(400))).toEqual([]);
  });

  it('with a field that the route does not declare is refused, at every place of it', async () => {
    const before = await rowCounts(world.test);
    const extras = ['scope', 'domain', 'createdBy', 'id', 'revision', 'isDisabled', 'roles', 'authorisedBy'];
    // All at once: the answer names each of them.
    const cases = withBody.flatMap((route) =>
      placesOf(plainSchema(route.body ?? {})).flatMap(({ where, schema, documentWith }) => {
        const { properties } = schema;
        if (properties === undefined) return [];
        const undeclared = extras.filter((extra) => !Object.hasOwn(properties, extra));
        const extended = {
          ...(sample(schema) as object),
          ...Object.fromEntries(undeclared.map((each) => [each, 'admin'])),
        };
        return [{ where, undeclared, route, options: { body: documentWith(extended) } }];
      }),
    );
    expect(cases.flatMap(({ undeclared }) => undeclared).length).toBeGreaterThan(400);
    const wrong: string[] = [];
    await Promise.all(
      cases.map(async ({ where, undeclared, route, options }) => {
        const answer = await send(route, pathOf(route), options);
        const { errors = [] } = answer.body as { errors?: { pointer: string }[] };
        const passed = undeclared.filter((extra) => !errors.some(({ pointer }) => pointer.endsWith(`/${extra}`)));
        if (answer.status !== 422 || passed.length > 0)
          wrong.push(`${route.id} ${where} ${passed.join()}: ${answer.status} ${answer.text}`);
      }),
    );
    expect(wrong.slice(0, 40)).toEqual([]);
    expect(await rowCounts(world.test)).toEqual(before);
  });

  it('that is too deep, has too many members, or is too large is refused before anything is done', async () => {
    const deep = '['.repeat(100_000);
    const wide = `[${'0,'.repeat(200_000)}0]`;
    const keys = `{${Array.from({ length: 110_000 }, (_, index) => `"${index.toString(36)}":0`).join(',')}}`;
    const refused = (rawBody: string, few: readonly RouteDeclaration[] = writing, status = 400): Promise<string[]> =>
      strays(
        few.map((route) => ({ about: rawBody.slice(0, 9), route, options: { rawBody } })),
        statusIn(status),
      );
    // One parser reads all bodies; what costs something is shown on a few.
    const few = writing.filter(({ id }) => ['createDomain', 'importDomainSecrets', 'signInWithLink'].includes(id));
    expect(few).toHaveLength(3);
    expect(await refused(deep)).toEqual([]);
    expect(await refused(deep.repeat(10), few)).toEqual([]);
    expect(await refused(wide, few)).toEqual([]);
    expect(await refused(keys, few)).toEqual([]);
    expect(
      await refused(
        `{${' '.repeat(1_048_575)}}`,
        writing.filter(({ id }) => id === 'createDomain'),
        413,
      ),
    ).toEqual([]);
    // What is announced is refused before it comes.
    const announced = writing.map((route) => ({
      about: 'large',
      route,
      options: { rawBody: '{}', headers: { 'content-length': String((route.bodyLimitBytes ?? 1_048_576) + 1) } },
    }));
    expect(await strays(announced, statusIn(413))).toEqual([]);
  });

  it('that is just as large as it may be is read', async () => {
    const cases = writing
      .filter(({ id }) => ['createUser', 'createDomainSecret', 'importDomainSecrets', 'createSparkJob'].includes(id))
      .map((route) => ({
        about: 'limit',
        route,
        options: { rawBody: `{${' '.repeat((route.bodyLimitBytes ?? 1_048_576) - 2)}}` },
      }));
    expect(cases).toHaveLength(4);
    expect(await strays(cases, statusIn(422))).toEqual([]);
  });

  it('of the wrong shape is never the server’s fault', async () => {
    const bodies = ['null', 'true', '0', '""', '[]', '[{}]', '{"":{}}', '{"constructor":{"prototype":{"x":1}}}'];
    const cases = writing.flatMap((route) =>
      bodies.map((rawBody) => ({ about: rawBody, route, options: { rawBody } })),
    );
    expect(await strays(cases, statusIn(400, 422))).toEqual([]);
    const types = [
      'text/plain',
      'application/json;charset=latin1',
      'application/x-www-form-urlencoded',
      'application/json;\tcharset=utf-8',
    ];
    expect(
      await strays(
        writing.flatMap((route) =>
          types.map((type) => ({ about: type, route, options: { rawBody: '{}', headers: { 'content-type': type } } })),
        ),
        statusIn(415),
      ),
    ).toEqual([]);
  });
});

describe('text', () => {
  it('that is not well-formed, or that a number can’t hold, is refused wherever it is', async () => {
    const before = await rowCounts(world.test);
    const marker = '@@here@@';
    const cases = withBody.flatMap((route) =>
      textPlaces(route).flatMap(({ where, name, documentWith }, place) => {
        const text = JSON.stringify(documentWith(marker));
        const mayHoldNul = name === 'value' || name === '*';
        const nul = { about: `${where} NUL`, route, options: { rawBody: text.replace(marker, 'a\\u0000b') } };
        const inPlace = mayHoldNul ? [] : [nul];
        // What reads bodies knows of no other difference between places.
        if (place > 0) return inPlace;
        const surrogate = text.replace(marker, 'a\\ud800');
        const notUtf8 = Buffer.from(text.replace(marker, 'a\u00ff'), 'latin1');
        return [
          ...inPlace,
          { about: `${where} lone surrogate`, route, options: { rawBody: surrogate } },
          { about: `${where} not UTF-8`, route, options: { rawBody: notUtf8 } },
        ];
      }),
    );
    expect(cases.length).toBeGreaterThan(300);
    expect(await strays(cases, statusIn(400, 422))).toEqual([]);
    const numbers = ['9007199254740993', '1e400', '-9007199254740993', '0.1234567890123456789'];
    expect(
      await strays(
        writing.flatMap((route) =>
          numbers.map((text) => ({ about: text, route, options: { rawBody: `{"x":${text}}` } })),
        ),
        statusIn(400),
      ),
    ).toEqual([]);
    expect(await rowCounts(world.test)).toEqual(before);
  });

  it('in a path or a query that is not well-formed is refused', async () => {
    const cases = allRoutes.flatMap((route) => [
      ...parametersOf(route).flatMap((parameter) =>
        ['%00', '%ff', '%ed%a0%80'].map((text) => ({
          about: `${parameter} ${text}`,
          route,
          path: pathTo(route, world.finance, world.platform, { [parameter]: '@@' }).replace('%40%40', text),
        })),
      ),
      ...['q=%ff', '__proto__=1', 'constructor=1', 'undeclared'].map((query) => ({
        about: query,
        route,
        path: withQuery(pathOf(route), query),
        options: route.body === undefined ? {} : { body: bodyFor(route) },
      })),
    ]);
    // What a list makes of `%ff` in a search is its matter: it finds nothing.
    expect(
      await strays(
        cases,
        (answer) => [400, 404, 422].includes(answer.status) || (answer.status === 200 && isEmptyList(answer)),
      ),
    ).toEqual([]);
  });

  it('longer than its place takes is refused', async () => {
    const cases = withBody.flatMap((route) =>
      textPlaces(route)
        .filter(({ schema }) => schema.maxLength !== undefined && schema.maxLength < 100_000)
        .map(({ where, schema, documentWith }) => ({
          about: where,
          route,
          options: { body: documentWith('a'.repeat((schema.maxLength ?? 0) + 1)) },
        })),
    );
    expect(cases.length).toBeGreaterThan(40);
    expect(await strays(cases, statusIn(422))).toEqual([]);
  });
});

function isEmptyList({ body }: Answer): boolean {
  return Array.isArray((body as { items?: unknown }).items) && (body as { items: unknown[] }).items.length === 0;
}

describe('names', () => {
  /** Latin long s, Kelvin sign, zero-width space, right-to-left override, blanks, a letter that only looks plain. */
  const foreign = ['ſales', '\u212aey', 'a\u200bb', 'a\u202eb', 'name ', ' name', 'name\n', 'n\u0430me', '\ufeffname'];

  it('outside the grammar are refused wherever a name goes, and nothing is stored', async () => {
    const before = await rowCounts(world.test);
    // All of them where a grammar is met first; three, by turns, in each other place that has it.
    const met = new Map<string, number>();
    const some = (grammar: string, outside: readonly string[]): readonly string[] => {
      const times = met.get(grammar) ?? 0;
      met.set(grammar, times + 1);
      const turn = (times * 3) % outside.length;
      return times === 0 ? outside : [...outside, ...outside].slice(turn, turn + 3);
    };
    const inBodies = withBody.flatMap((route) =>
      textPlaces(route).flatMap(({ where, schema, documentWith }) =>
        some(
          String(schema.pattern),
          foreign.filter((text) => schema.pattern !== undefined && !new RegExp(schema.pattern, 'u').test(text)),
        ).map((text) => ({ about: `${where} ${JSON.stringify(text)}`, route, options: { body: documentWith(text) } })),
      ),
    );
    expect(inBodies.length).toBeGreaterThan(500);
    expect(await strays(inBodies, statusIn(422))).toEqual([]);
    const inPaths = allRoutes.flatMap((route) =>
      parametersOf(route).flatMap((parameter) =>
        some(`{${parameter}} ${JSON.stringify(plainSchema(route.params ?? {}).properties?.[parameter])}`, foreign).map(
          (text) => ({
            about: `{${parameter}} ${JSON.stringify(text)}`,
            route,
            path: pathTo(route, world.finance, world.platform, { [parameter]: text }),
            options: route.body === undefined ? {} : { body: bodyFor(route) },
          }),
        ),
      ),
    );
    expect(inPaths.length).toBeGreaterThan(1_000);
    expect(await strays(inPaths, statusIn(404, 422))).toEqual([]);
    expect(await rowCounts(world.test)).toEqual(before);
  });

  it('of roles, states and the like are taken as they are written, in no other case', async () => {
    const cases = withBody.flatMap((route) =>
      placesOf(plainSchema(route.body ?? {})).flatMap(({ where, schema, documentWith }) =>
        (schema.enum ?? (schema.const === undefined ? [] : [schema.const]))
          .filter((word): word is string => typeof word === 'string')
          .map((word) => ({ about: `${where} ${word}`, route, options: { body: documentWith(swapCase(word)) } })),
      ),
    );
    expect(cases.length).toBeGreaterThan(50);
    expect(await strays(cases, statusIn(422))).toEqual([]);
  });

  it('that objects have by themselves are names like others', async () => {
    const words = ['__proto__', 'constructor'];
    const cases = withBody.flatMap((route) =>
      textPlaces(route).flatMap(({ where, schema: { pattern = '' }, documentWith }) =>
        words
          // What is outside a place's grammar is refused like other such texts.
          .filter((word) => new RegExp(pattern, 'u').test(word))
          .map((word) => ({ about: `${where} ${word}`, route, options: { body: documentWith(word) } })),
      ),
    );
    expect(cases.length).toBeGreaterThan(1_000);
    // What a route makes of the word is its matter; none stumbles over it.
    expect(await strays(cases, ({ status }) => status < 500)).toEqual([]);
    const paths = allRoutes
      .filter(({ method }) => method === 'GET')
      .flatMap((route) =>
        parametersOf(route).flatMap((parameter) =>
          words.map((word) => ({
            about: `{${parameter}} ${word}`,
            route,
            path: pathTo(route, world.finance, world.platform, { [parameter]: word }),
          })),
        ),
      );
    expect(await strays(paths, statusIn(200, 404, 422))).toEqual([]);
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();

    const { test } = world;
    const fields = { constructor: 'a', toString: 'b', hasOwnProperty: 'c' };
    await test.call('POST', '/v1/domains/finance/secrets', { body: { key: 'valueOf', fields, tags: ['constructor'] } });
    expect(await test.call('GET', '/v1/domains/finance/secrets/valueOf')).toMatchObject({
      key: 'valueOf',
      fields: Object.keys(fields),
      tags: ['constructor'],
    });
    const rawBody = '{"key":"proto","fields":{"__proto__":"x"}}';
    expect((await test.request('POST', '/v1/domains/finance/secrets', { rawBody })).status).toBe(422);
    const job = {
      name: 'protos',
      command: ['true'],
      environment: [
        { name: '__proto__', value: '1' },
        { name: 'constructor', value: '2' },
      ],
    };
    await test.call('POST', '/v1/domains/finance/spark-jobs', { body: job });
    expect(await test.call('GET', '/v1/domains/finance/spark-jobs/protos')).toMatchObject({
      environment: job.environment,
    });
  });

  it('that differ in case alone are one name where case does not count, and no name where it does', async () => {
    const { test } = world;
    expect((await test.request('GET', '/v1/domains/finance/secrets/DB-PASSWORD')).status).toBe(404);
    const clash = await test.request('POST', '/v1/domains/finance/secrets', {
      body: { key: 'DB-Password', value: 'x' },
    });
    expect([clash.status, codeOf(clash)]).toEqual([409, 'key_clash']);
    const user = await test.request('POST', '/v1/users', { body: { name: 'SPARE' } });
    expect([user.status, codeOf(user)]).toEqual([409, 'already_exists']);
    expect((await test.request('POST', '/v1/domains', { body: { name: 'Finance' } })).status).toBe(422);
    expect((await test.request('GET', '/v1/domains/finance/bundles/Analytics')).status).toBeGreaterThanOrEqual(404);
  });
});

function swapCase(word: string): string {
  const upper = word.toUpperCase();
  return upper === word ? word.toLowerCase() : upper;
}

describe('values', () => {
  it('go in up to the limit and not a byte beyond, in every form, and nothing is stored', async () => {
    const { test } = world;
    const path = '/v1/domains/finance/secrets';
    const limit = 1_048_576;
    const overhead = '{"a":""}'.length;
    const forms: ((bytes: number) => object)[] = [
      (bytes) => ({ value: 'x'.repeat(bytes) }),
      (bytes) => ({ value: `${'é'.repeat((bytes - (bytes % 2)) / 2)}${'x'.repeat(bytes % 2)}` }),
      (bytes) => ({ valueBase64: Buffer.alloc(bytes, 1).toString('base64') }),
      (bytes) => ({ fields: { a: 'x'.repeat(bytes - overhead) } }),
    ];
    for (const form of forms) {
      const key = freshName();
      await test.call('POST', path, { body: { key, ...form(limit) } });
      const before = await rowCounts(test);
      const over = await test.request('POST', path, { body: { key: freshName(), ...form(limit + 1) } });
      expect([over.status, codeOf(over)]).toEqual([413, 'limit_exceeded']);
      expect((await test.request('PUT', `${path}/${key}/value`, { body: form(limit + 1) })).status).toBe(413);
      expect(await rowCounts(test)).toEqual(before);
    }
  });

  it('keep descriptions exactly', async () => {
    const description =
      'e\u0301 \u00e9 \ufeff \u2028\u2029 \u202e \ud83d\udd11 =1+1 \r\n\t <b>&amp; ${x} \u0130 \u017f';
    const key = freshName();
    await world.test.call('POST', '/v1/domains/finance/secrets', { body: { key, value: 'v', description } });
    expect(await world.test.call('GET', `/v1/domains/finance/secrets/${key}`)).toMatchObject({ description });
  });
});

describe('every answer so far', () => {
  it('was inside its declaration, and none was the server’s fault', () => {
    expect(world.conformance.problems).toEqual([]);
    expect(world.test.logged.filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([]);
  });
});
