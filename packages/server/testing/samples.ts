import type { RouteDeclaration } from '@strongroom/contract';

/** A schema as the document has it: plain data. */
export interface JsonSchema {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly patternProperties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly pattern?: string;
  readonly format?: string;
  readonly minimum?: number;
  readonly minItems?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly writeOnly?: boolean;
}

export function plainSchema(schema: object): JsonSchema {
  return JSON.parse(JSON.stringify(schema)) as JsonSchema;
}

let made = 0;

/** A name that nothing has had yet; fits every pattern of names. */
export function freshName(): string {
  made += 1;
  return `n${made.toString(36)}x${Math.random().toString(36).slice(2, 8)}`;
}

/** Texts for patterns that a fresh name does not fit. */
const texts = [
  'user:absent',
  'usr_00000000000000000000000000',
  'spark-job/absent',
  'spark.sample',
  'someone@example.org',
  '1.1',
  '1k',
  '/',
  'http://127.0.0.1:9',
  'https://127.0.0.1:9',
  'eu-central-1',
  '/v1/secret/data/app',
  'arn:aws:iam::123456789012:role/strongroom',
  '00000000-0000-0000-0000-000000000000',
  'A'.repeat(43),
  '2031-02-03T04:05:06Z',
];

/**
 * The smallest thing a schema takes, with fresh names.
 *
 * @throws Error when the schema has a pattern that no sample fits: one is to be added here
 */
export function sample(schema: JsonSchema): unknown {
  if (schema.const !== undefined) return schema.const;
  if (schema.enum !== undefined) return schema.enum[0];
  if (schema.anyOf !== undefined) return sample(schema.anyOf[0] ?? {});
  switch (schema.type) {
    case 'object':
      return Object.fromEntries(
        Object.entries(schema.properties ?? {})
          .filter(([name]) => schema.required?.includes(name) === true)
          .map(([name, property]) => [name, sample(property)]),
      );
    case 'array':
      return Array.from({ length: schema.minItems ?? 0 }, () => sample(schema.items ?? {}));
    case 'integer':
    case 'number':
      return schema.minimum ?? 1;
    case 'boolean':
      return true;
    case 'null':
      return null;
    case undefined:
    default:
      return sampleText(schema);
  }
}

function sampleText({ pattern, format, minLength = 0 }: JsonSchema): string {
  if (format === 'date-time') return '2031-02-03T04:05:06Z';
  const name = freshName().padEnd(minLength, 'x');
  if (pattern === undefined) return name;
  const text = [name, ...texts].find((candidate) => new RegExp(pattern, 'u').test(candidate));
  if (text === undefined) throw new Error(`No sample fits ${pattern}`);
  return text;
}

/** One place in a schema: its schema, and how to make a whole document that has something else just there. */
export interface Place {
  readonly where: string;
  readonly name: string;
  readonly schema: JsonSchema;
  readonly documentWith: (content: unknown) => unknown;
}

/** All places of a schema, the root first, each branch of a union by itself. */
export function placesOf(schema: JsonSchema): Place[] {
  const places: Place[] = [];
  const visit = (node: JsonSchema, where: string, name: string, documentWith: Place['documentWith']): void => {
    places.push({ where, name, schema: node, documentWith });
    for (const branch of node.anyOf ?? []) visit(branch, where, name, documentWith);
    for (const [key, property] of Object.entries(node.properties ?? {}))
      visit(property, `${where}/${key}`, key, (content) =>
        documentWith({ ...(sample(node) as object), [key]: content }),
      );
    for (const property of Object.values(node.patternProperties ?? {}))
      visit(property, `${where}/*`, '*', (content) => documentWith({ field: content }));
    if (node.items !== undefined) visit(node.items, `${where}/0`, name, (content) => documentWith([content]));
  };
  visit(schema, '', '', (content) => content);
  return places;
}

/** Places of a route's body that take text. */
export function textPlaces(route: RouteDeclaration): Place[] {
  if (route.body === undefined) return [];
  return placesOf(plainSchema(route.body)).filter(
    ({ schema }) => schema.type === 'string' && schema.const === undefined,
  );
}
