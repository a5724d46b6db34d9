import type { ConfigSchema } from '@strongroom/contract';
import type { FieldProblems } from '../definition.ts';

/**
 * The schema of a custom connection: of the few keywords that our own types use, so that nobody's pattern runs here and no
 * reference leads out of it.
 */

const types = ['object', 'array', 'string', 'integer', 'number', 'boolean'] as const;
const maxDepth = 6;
const maxFields = 500;
const maxTextLength = 1000;
/** As a property of a config may be called. */
const propertyName = /^[A-Za-z][A-Za-z0-9_.-]{0,62}$/;

const always = ['type', 'title', 'description'];
const allowed: Readonly<Record<ConfigSchema['type'], readonly string[]>> = {
  object: ['properties', 'required', 'additionalProperties'],
  array: ['items', 'maxItems'],
  string: ['format', 'enum', 'minLength', 'maxLength', 'x-destination'],
  integer: ['enum', 'minimum', 'maximum'],
  number: ['enum', 'minimum', 'maximum'],
  boolean: [],
};

/** The schema, closed at every object; `undefined` with the problems noted. */
export function readCustomSchema(sent: unknown, problems: FieldProblems): ConfigSchema | undefined {
  const reader = new SchemaReader(problems);
  const schema = reader.read(sent, '/schema', 1);
  if (schema !== undefined && schema.type !== 'object') problems.add('/schema/type', 'A config is an object.');
  return schema?.type === 'object' ? schema : undefined;
}

class SchemaReader {
  readonly #problems: FieldProblems;
  #fields = 0;

  constructor(problems: FieldProblems) {
    this.#problems = problems;
  }

  read(sent: unknown, pointer: string, depth: number): ConfigSchema | undefined {
    if (!isRecord(sent)) return this.#refuse(pointer, 'It is an object.');
    this.#fields += 1;
    if (depth > maxDepth) return this.#refuse(pointer, `It is deeper than ${maxDepth} levels.`);
    if (this.#fields > maxFields)
      return this.#fields === maxFields + 1
        ? this.#refuse(pointer, `It has more than ${maxFields} fields.`)
        : undefined;
    const type = types.find((each) => each === sent['type']);
    if (type === undefined) return this.#refuse(`${pointer}/type`, `It is one of ${types.join(', ')}.`);
    for (const keyword of Object.keys(sent))
      if (![...always, ...allowed[type]].includes(keyword))
        this.#problems.add(
          `${pointer}/${escape(keyword)}`,
          `is no keyword that a schema of type ${type} may have here`,
        );
    this.#checkScalars(sent, pointer);
    const { title, description } = sent;
    const described = {
      ...(typeof title === 'string' ? { title } : {}),
      ...(typeof description === 'string' ? { description } : {}),
    };
    if (type === 'object') return { ...described, ...this.#object(sent, pointer, depth) };
    if (type === 'array') return { ...described, ...this.#array(sent, pointer, depth) };
    const own = allowed[type].filter((keyword) => Object.hasOwn(sent, keyword));
    return { ...described, type, ...Object.fromEntries(own.map((keyword) => [keyword, sent[keyword]])) };
  }

  #object(sent: Readonly<Record<string, unknown>>, pointer: string, depth: number): ConfigSchema {
    const { properties = {}, required = [], additionalProperties = false } = sent;
    const read: [string, ConfigSchema][] = [];
    if (additionalProperties !== false) this.#refuse(`${pointer}/additionalProperties`, 'It can only be false.');
    if (!isRecord(properties)) this.#refuse(`${pointer}/properties`, 'It is an object.');
    else
      for (const [name, property] of Object.entries(properties)) {
        const at = `${pointer}/properties/${escape(name)}`;
        if (!propertyName.test(name))
          this.#refuse(at, 'A name begins with a letter and has at most 63 letters, digits, dots, - and _.');
        const schema = this.read(property, at, depth + 1);
        if (schema !== undefined) read.push([name, schema]);
      }
    const names = new Set(read.map(([name]) => name));
    const isNames = Array.isArray(required) && required.every((name) => typeof name === 'string' && names.has(name));
    if (!isNames && this.#problems.errors.length === 0)
      this.#refuse(`${pointer}/required`, 'It is a list of names of properties.');
    return {
      type: 'object',
      properties: Object.fromEntries(read),
      required: isNames ? [...new Set(required as string[])] : [],
      additionalProperties: false,
    };
  }

  #array(sent: Readonly<Record<string, unknown>>, pointer: string, depth: number): ConfigSchema {
    const items = this.read(sent['items'], `${pointer}/items`, depth + 1);
    if (items === undefined) return { type: 'array' };
    if (items.type === 'array') this.#refuse(`${pointer}/items`, 'A list of lists is not taken.');
    if (items.format === 'password')
      this.#refuse(`${pointer}/items`, 'A list of secrets has objects with an id, so that their order may change.');
    if (items.type === 'object' && hasPassword(items)) {
      const id = items.properties?.['id'];
      if (id?.type !== 'string' || id.format === 'password' || items.required?.includes('id') !== true)
        this.#refuse(`${pointer}/items`, 'Items with secrets have a required property id, a string.');
    }
    const { maxItems } = sent;
    return { type: 'array', items, ...(typeof maxItems === 'number' ? { maxItems } : {}) };
  }

  #checkScalars(sent: Readonly<Record<string, unknown>>, pointer: string): void {
    for (const keyword of ['title', 'description'])
      if (keyword in sent && !(typeof sent[keyword] === 'string' && sent[keyword].length <= maxTextLength))
        this.#refuse(`${pointer}/${keyword}`, `It is a text of at most ${maxTextLength} characters.`);
    for (const keyword of ['minLength', 'maxLength', 'maxItems'])
      if (keyword in sent && !(Number.isSafeInteger(sent[keyword]) && Number(sent[keyword]) >= 0))
        this.#refuse(`${pointer}/${keyword}`, 'It is a whole number of 0 or more.');
    for (const keyword of ['minimum', 'maximum'])
      if (keyword in sent && typeof sent[keyword] !== 'number')
        this.#refuse(`${pointer}/${keyword}`, 'It is a number.');
    if ('format' in sent && sent['format'] !== 'password')
      this.#refuse(`${pointer}/format`, 'The only format is password.');
    if ('x-destination' in sent && sent['x-destination'] !== true)
      this.#refuse(`${pointer}/x-destination`, 'It is true or left out.');
    if ('enum' in sent) this.#checkEnum(sent, pointer);
  }

  #checkEnum(sent: Readonly<Record<string, unknown>>, pointer: string): void {
    const { enum: values, type, format } = sent;
    const kind = type === 'string' ? 'string' : 'number';
    const isFine =
      Array.isArray(values) &&
      values.length > 0 &&
      values.length <= 200 &&
      new Set(values).size === values.length &&
      values.every((value) => typeof value === kind && String(value).length <= maxTextLength);
    if (!isFine) this.#refuse(`${pointer}/enum`, `It is a list of 1 to 200 different values of type ${kind}.`);
    if (format === 'password') this.#refuse(`${pointer}/enum`, 'A secret is none of a list.');
  }

  #refuse(pointer: string, message: string): undefined {
    this.#problems.add(pointer, message);
    return undefined;
  }
}

/** Whether a schema has a field of format password anywhere. */
export function hasPassword(schema: ConfigSchema): boolean {
  if (schema.format === 'password') return true;
  const { items, properties = {} } = schema;
  return (items !== undefined && hasPassword(items)) || Object.values(properties).some(hasPassword);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function escape(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1').slice(0, 100);
}
