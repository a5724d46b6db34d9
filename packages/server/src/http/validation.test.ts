import { routes, type RouteDeclaration } from '@strongroom/contract';
import { Ajv } from 'ajv';
import buildSerializer, { type Schema } from 'fast-json-stringify';
import { describe, expect, it } from 'vitest';
import { createValidatorCompiler } from './validation.ts';

const all: readonly RouteDeclaration[] = routes;

describe('schemas, which are compiled at their first use', () => {
  it('all compile', () => {
    expect.hasAssertions();
    const compile = createValidatorCompiler();
    for (const { id, params, query, body, response } of all) {
      for (const [part, schema] of [
        ['params', params],
        ['querystring', query],
        ['body', body],
      ] as const)
        if (schema !== undefined)
          expect([id, part, compile(part, schema)(undefined)]).toEqual([id, part, expect.anything()]);
      if (response !== undefined) expect([id, typeof buildSerializer(response as Schema)]).toEqual([id, 'function']);
    }
  });

  it('all are schemas, which the server takes for granted', () => {
    const ajv = new Ajv({ strict: false });
    const schemas = all.flatMap(({ id, params, query, body, response }) =>
      [params, query, body, response].filter((schema) => schema !== undefined).map((schema) => ({ id, schema })),
    );
    expect(schemas.filter(({ schema }) => ajv.validateSchema(schema) !== true).map(({ id }) => id)).toEqual([]);
    expect(schemas.length).toBeGreaterThan(all.length);
    expect(ajv.validateSchema({ type: 'object', required: 'name' })).toBe(false);
  });

  it('may have annotations, and no misspelt keyword', () => {
    const compile = createValidatorCompiler();
    expect(compile('body', { type: 'string', 'x-note': 'for people' })('text')).toEqual({ value: 'text' });
    expect(() => compile('body', { type: 'string', maxLenght: 3 })('text')).toThrow('maxLenght');
  });
});
