import {
  type FieldError,
  formKeyword,
  type FormName,
  misplacedPlaceholders,
  StrongroomError,
  unresolvedMessage,
} from '@strongroom/contract';
import { Ajv, type AnySchema, type ErrorObject, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';
import { escapePointer } from './json-body.ts';
import { errorsOfMeantBranches } from './meant-branches.ts';

/** What Fastify expects of a compiled validator: the value to use, or the error to answer. */
export type Validator = (data: unknown) => { value: unknown } | { error: StrongroomError };

export type Part = 'params' | 'querystring' | 'body';

/** Field errors named in one answer. */
const maxFieldErrors = 20;
/** A longer one is of no field that there is. */
const maxPointerLength = 512;

/**
 * Compiles the schemas of all routes, strictly: nothing is removed, nothing is coerced, defaults are filled in. Only a
 * query's integers, booleans and lists of one, which have no other way to be written, are read as such first.
 *
 * A schema is compiled at its first use: compiling those of all routes is a third of the time to start and of the memory.
 */
export function createValidatorCompiler(): (part: Part, schema: AnySchema) => Validator {
  const ajv = strictAjv(false);
  let ajvAllErrors: Ajv | undefined;

  return (part, schema) => {
    let validate: ValidateFunction | undefined;
    let validateAll: ValidateFunction | undefined;
    const coerce = part === 'querystring' ? queryCoercion(schema) : undefined;
    const form = formOf(part, schema);
    return (data) => {
      coerce?.(data);
      validate ??= compile(ajv, schema);
      const misplaced = form === undefined ? [] : misplacedErrors(form, data);
      if (validate(data) && misplaced.length === 0) return { value: data };
      // The first error is found cheaply; all of them only once it's known that there are any.
      validateAll ??= compile((ajvAllErrors ??= strictAjv(true)), schema);
      validateAll(data);
      return {
        error: new StrongroomError('validation_failed', {
          // What a schema says of a text is no help to who wrote a placeholder there.
          errors: [
            ...misplaced,
            ...fieldErrors(part, schema, errorsOfMeantBranches(validateAll.errors ?? validate.errors ?? [])).filter(
              ({ pointer }) => !misplaced.some((each) => each.pointer === pointer),
            ),
          ].slice(0, maxFieldErrors),
        }),
      };
    };
  };
}

/** Whose form a body is, if it is one. */
function formOf(part: Part, schema: AnySchema): FormName | undefined {
  return part === 'body' && isRecord(schema) ? (schema[formKeyword] as FormName | undefined) : undefined;
}

/** Placeholders where nothing resolves them. */
function misplacedErrors(form: FormName, data: unknown): FieldError[] {
  return misplacedPlaceholders(form, data)
    .filter(({ pointer }) => pointer.length <= maxPointerLength)
    .map(({ pointer, reason }) => ({ pointer, message: unresolvedMessage(reason) }));
}

function strictAjv(allErrors: boolean): Ajv {
  const ajv = new Ajv({
    allErrors,
    removeAdditional: false,
    coerceTypes: false,
    useDefaults: true,
    strict: true,
    // A union of types is how nullable fields are declared.
    allowUnionTypes: true,
    // Branches of a union name properties that only another branch requires.
    strictRequired: false,
    strictTypes: false,
    // Errors hold no data: they become answers.
    verbose: false,
    // That they are schemas is for a test to say: to load the schema of schemas takes longer than the first answer.
    meta: false,
    validateSchema: false,
    // It takes as long again as the compiling, and V8 does the same to what is used often.
    code: { optimize: false },
  });
  addFormats.default(ajv);
  return ajv;
}

function compile(ajv: Ajv, schema: AnySchema): ValidateFunction {
  for (const keyword of new Set(annotationsOf(schema))) if (!ajv.RULES.keywords[keyword]) ajv.addKeyword(keyword);
  return ajv.compile(withoutIgnoredDefaults(schema));
}

/**
 * Defaults inside the branches of a union are never filled in (which branch it is isn't known yet); they only say what leaving
 * out means. Ajv refuses to overlook them.
 */
function withoutIgnoredDefaults(schema: AnySchema): AnySchema {
  const strip = (node: unknown, isInBranch: boolean): unknown => {
    if (Array.isArray(node)) return node.map((each) => strip(each, isInBranch));
    if (!isRecord(node)) return node;
    return Object.fromEntries(
      Object.entries(node)
        .filter(([keyword, value]) => !(isInBranch && keyword === 'default' && !isSchemaOfProperty(value)))
        .map(([keyword, value]) => [keyword, strip(value, isInBranch || keyword === 'anyOf')]),
    );
  };
  return strip(schema, false) as AnySchema;
}

/** A property may be called `default`; then its value is a schema. */
function isSchemaOfProperty(value: unknown): boolean {
  return isRecord(value) && 'type' in value;
}

/** Keywords `x-…` say something to readers of the document and check nothing; a misspelt keyword is still an error. */
function annotationsOf(schema: unknown): string[] {
  if (!isRecord(schema)) return [];
  return Object.entries(schema).flatMap(([keyword, value]) => [
    ...(keyword.startsWith('x-') ? [keyword] : []),
    ...annotationsOf(value),
  ]);
}

/** Reads `"5"` as 5 and `"true"` as true where the schema of a query says integer and boolean, and in no other spelling. */
function queryCoercion(schema: AnySchema): (query: unknown) => void {
  const integers: string[] = [];
  const booleans: string[] = [];
  const lists: string[] = [];
  if (typeof schema === 'object' && isRecord(schema['properties'])) {
    for (const [name, property] of Object.entries(schema['properties'])) {
      if (!isRecord(property)) continue;
      if (property['type'] === 'integer') integers.push(name);
      else if (property['type'] === 'boolean') booleans.push(name);
      else if (property['type'] === 'array') lists.push(name);
    }
  }
  return (query) => {
    if (!isRecord(query)) return;
    for (const name of integers) {
      const text = query[name];
      if (typeof text === 'string' && /^-?(?:0|[1-9]\d{0,14})$/.test(text)) query[name] = Number(text);
    }
    for (const name of booleans) {
      const text = query[name];
      if (text === 'true' || text === 'false') query[name] = text === 'true';
    }
    for (const name of lists) {
      const text = query[name];
      if (typeof text === 'string') query[name] = [text];
    }
  };
}

function fieldErrors(part: Part, schema: AnySchema, errors: readonly ErrorObject[]): FieldError[] {
  const byPointer = new Map<string, Set<string>>();
  for (const error of errors) {
    // Says only that one of the branches failed; their own errors say which.
    if (error.keyword === 'anyOf' || error.keyword === 'oneOf' || error.keyword === 'if') continue;
    const pointer = pointerOf(part, error);
    const messages = byPointer.get(pointer) ?? new Set();
    messages.add(messageOf(error, schema));
    byPointer.set(pointer, messages);
    if (byPointer.size === maxFieldErrors) break;
  }
  return [...byPointer].map(([pointer, messages]) => ({ pointer, message: [...messages].join(', or ') }));
}

function pointerOf(part: Part, error: ErrorObject): string {
  const added = error.params['missingProperty'] ?? error.params['additionalProperty'];
  const pointer =
    added === undefined ? error.instancePath : `${error.instancePath}/${escapePointer(String(added)).slice(0, 100)}`;
  // A parameter is known by its name alone.
  return part === 'body' ? pointer : pointer.slice(1);
}

/** Ajv's messages speak of the schema; they hold nothing of the data. */
function messageOf(error: ErrorObject, schema: AnySchema): string {
  switch (error.keyword) {
    case 'pattern': {
      // A grammar is read by few; an example of what fits it is read by all.
      const [example] = examplesAt(schema, error.schemaPath);
      return typeof example === 'string' ? `must have a form like ${example}` : (error.message ?? 'is not valid');
    }
    case 'required':
      return 'is required';
    case 'additionalProperties':
      return 'is not a field of this request';
    case 'enum':
      return `must be one of ${JSON.stringify(error.params['allowedValues']).slice(1, -1).replaceAll('"', '')}`;
    case 'const':
      return `must be ${JSON.stringify(error.params['allowedValue'])}`;
    default:
      return error.message ?? 'is not valid';
  }
}

/** Of the part of a schema that a keyword is in. @param path of the keyword: `#/properties/name/pattern`, as a fragment (RFC 6901 §6) */
function examplesAt(schema: AnySchema, path: string): readonly unknown[] {
  let node: unknown = schema;
  for (const step of path.split('/').slice(1, -1)) {
    const name = decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~');
    if (Array.isArray(node)) node = node[Number(name)];
    else if (isRecord(node) && Object.hasOwn(node, name)) node = node[name];
    else return [];
  }
  return isRecord(node) && Array.isArray(node['examples']) ? node['examples'] : [];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
