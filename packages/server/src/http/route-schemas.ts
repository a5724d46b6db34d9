import buildSerializer, { type Schema } from 'fast-json-stringify';
import { createValidatorCompiler, type Part, type Validator } from './validation.ts';

// The schemas of routes are constants of the contract: what is compiled of one is the same for every server of a process.
const compile = createValidatorCompiler();
const validators = {
  params: new WeakMap<object, Validator>(),
  querystring: new WeakMap<object, Validator>(),
  body: new WeakMap<object, Validator>(),
} satisfies Record<Part, WeakMap<object, Validator>>;
const serializers = new WeakMap<object, Serializer>();

type Serializer = (data: unknown) => string;

/** What a route takes that declares no query: none. */
export const noQuery = { type: 'object', properties: {}, additionalProperties: false };

/** Checks one part of a route's requests. */
export function routeValidator(part: Part, schema: object): Validator {
  const known = validators[part].get(schema);
  if (known !== undefined) return known;
  const validator = compile(part, schema);
  validators[part].set(schema, validator);
  return validator;
}

/** Writes a route's answers; compiled at its first use, as with validation. */
export function routeSerializer(schema: object): Serializer {
  return (data) => {
    const serialize = serializers.get(schema) ?? buildSerializer(schema as Schema);
    serializers.set(schema, serialize);
    return serialize(data);
  };
}
