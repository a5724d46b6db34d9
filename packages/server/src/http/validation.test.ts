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

  it('say by an example what fits, where they have one', () => {
    const compile = createValidatorCompiler();
    const text = { type: 'string', pattern: '^/v1/.+/data/' };
    const validate = compile('body', {
      anyOf: [
        { type: 'object', properties: { 'a/b %': { ...text, examples: ['/v1/secret/data/production'] }, plain: text } },
      ],
    });
    expect(validate({ 'a/b %': 'secret', plain: 'secret' })).toMatchObject({
      error: {
        errors: [
          { pointer: '/a~1b %', message: 'must have a form like /v1/secret/data/production' },
          { pointer: '/plain', message: 'must match pattern "^/v1/.+/data/"' },
        ],
      },
    });
  });

  it('say of a union what is wrong with the kind that was meant', () => {
    const compile = createValidatorCompiler();
    const method = (name: string, needs: string) => ({
      type: 'object',
      additionalProperties: false,
      required: ['method', needs],
      properties: { method: { const: name }, [needs]: { type: 'string' } },
    });
    const kind = (name: string, field: object, methods: readonly object[]) => ({
      type: 'object',
      additionalProperties: false,
      required: ['type', 'field', 'sign'],
      properties: { type: { const: name }, field, sign: { anyOf: methods } },
    });
    const validate = compile('body', {
      type: 'object',
      required: ['items'],
      properties: {
        items: {
          type: 'array',
          items: {
            anyOf: [
              kind('A', { type: 'string', pattern: '^a' }, [method('token', 'role'), method('key', 'id')]),
              kind('B', { type: 'integer' }, [method('role', 'arn'), method('token', 'path')]),
            ],
          },
        },
      },
    });
    const errorsOf = (...items: readonly unknown[]) => {
      const answer = validate({ items });
      return 'error' in answer
        ? (answer.error.errors ?? []).map(({ pointer, message }) => `${pointer} ${message}`)
        : [];
    };
    const sign = { method: 'token', role: 'r' };
    expect(
      errorsOf({ type: 'A', field: 'a', sign }, { type: 'B', field: 1, sign: { method: 'role', arn: '' } }),
    ).toEqual([]);
    expect(errorsOf({ type: 'A', field: 'b', sign })).toEqual(['/items/0/field must match pattern "^a"']);
    expect(errorsOf({ type: 'A', field: 'a', sign: { method: 'key' } })).toEqual(['/items/0/sign/id is required']);
    expect(errorsOf({ type: 'C', field: 'a', sign })).toEqual(['/items/0/type must be "A", or must be "B"']);
    expect(errorsOf({ type: 'A', field: 'a', sign: { method: 'none' } })).toEqual([
      '/items/0/sign/method must be "token", or must be "key"',
    ]);
    expect(errorsOf({ type: 'A', field: 'b', sign }, { type: 'B', field: '1', sign: { method: 'token' } })).toEqual([
      '/items/0/field must match pattern "^a"',
      '/items/1/field must be integer',
      '/items/1/sign/path is required',
    ]);
    // Without a kind nobody knows which was meant.
    expect(errorsOf({ field: 'a', sign })).toContain('/items/0/type is required');
  });
});
