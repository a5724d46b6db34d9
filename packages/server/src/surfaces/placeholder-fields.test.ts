import {
  type ConfigSchema,
  connectionTypes,
  formKeyword,
  type FormName,
  routes,
  secretCapableKeyword,
  StrongroomError,
  unresolvedConfigReason,
  unresolvedFields,
  unresolvedMessage,
  unresolvedReason,
  type UnresolvedReason,
} from '@strongroom/contract';
import { SecretValue } from '@strongroom/crypto';
import { describe, expect, it } from 'vitest';
import { emailForm, ldapForm } from '../../testing/bodies.ts';
import { storageSample } from '../../testing/surface-samples.ts';
import { routeValidator } from '../http/route-schemas.ts';
import { findingsIn } from '../placeholders/findings.ts';
import { type AnySurface, surfaces } from './registry.ts';
import { CredentialValues, refuseUnresolved, withResolvedTexts } from './texts.ts';

/**
 * Every text that any form takes: a placeholder in it is resolved where the configuration is used, or refused at the save with
 * the reason that the table of the contract gives. A field that is new is found here by its schema.
 */

type Json = Readonly<Record<string, unknown>>;
interface Form {
  readonly operation: string;
  readonly name: FormName;
  readonly schema: Json;
}

const forms = routes.flatMap(({ id, body }: (typeof routes)[number] & { readonly body?: object }): Form[] => {
  const schema = (body ?? {}) as Json;
  const name = schema[formKeyword] as FormName | undefined;
  return name === undefined ? [] : [{ operation: id, name, schema }];
});

/** One for each schema: several routes may take the same. */
const distinctForms = [...new Map(forms.map((form) => [JSON.stringify([form.name, form.schema]), form])).values()];

/** Pointers of the texts that a schema takes, 0 for each item of a list; what it says nothing of is a text. */
function textPointers(schema: Json, pointer = ''): string[] {
  const { properties, items, anyOf, type } = schema as {
    properties?: Json;
    items?: Json;
    anyOf?: Json[];
    type?: unknown;
  };
  if (anyOf !== undefined) return [...new Set(anyOf.flatMap((each) => textPointers(each, pointer)))];
  if (properties !== undefined)
    return Object.entries(properties).flatMap(([name, each]) => textPointers(each as Json, `${pointer}/${name}`));
  if (items !== undefined) return textPointers(items, `${pointer}/0`);
  if (type === 'object') return [`${pointer}/anything`];
  return type === 'string' || 'enum' in schema || type === undefined ? [pointer] : [];
}

/** Parts of which a field has one. */
const alternatives = ['set', 'value', 'secret', 'content', 'clear', 'keep'];

/** The form with a text at a pointer; what can't stand beside it goes. */
function withText(form: Json, pointer: string, text: string): Json {
  const copy = structuredClone(form) as Record<string, unknown>;
  const names = pointer.split('/').slice(1);
  const last = names.pop() ?? '';
  let part: Record<string, unknown> = copy;
  for (const [index, name] of names.entries()) {
    if (typeof part[name] !== 'object') part[name] = (names[index + 1] ?? last) === '0' ? [] : {};
    part = part[name] as Record<string, unknown>;
  }
  if (alternatives.includes(last)) for (const name of alternatives) delete part[name];
  part[last] = text;
  return copy;
}

const variables = [{ name: 'A', value: 'plain' }];
const properties = [{ name: 'spark.a', value: 'plain' }];
/** Forms in which every text can stand. */
const samples: Readonly<Record<FormName, Json>> = {
  'spark-job': {
    name: 'a',
    command: ['true'],
    environment: variables,
    sparkConfig: properties,
    files: [{ name: 'a', content: 'plain' }],
  },
  'compute-cluster': { name: 'a', environment: variables, sparkConfig: properties },
  notebook: { name: 'a', environment: variables },
  'storage-config': { name: 'a', ...storageSample() },
  connection: { name: 'a', type: 'bot', config: { authType: 'JWT', config: {} } },
  email: { ...emailForm, security: 'starttls', username: 'ann' },
  ldap: { ...ldapForm, bindDn: 'cn=reader' },
  notices: {},
};
/** What belongs to a form of one route alone, and to none that is saved. */
const ownParts = new Set(['name', 'bundle', 'managedBy', 'recipient', 'what', 'useSaved']);

const probe = '${secrets.probe}';
/** What is behind the placeholder, where not any text does. */
const values: Readonly<Record<string, string>> = {
  '/senderAddress': 'probe@example.org',
  '/bindDn': 'cn=probe',
  '/baseDn': 'dc=probe',
  '/groupBaseDn': 'dc=probe',
  '/filter': '(cn=probe)',
  '/groupFilter': '(cn=probe)',
};
const scopes = {
  domain: { id: 'dom_a', kind: 'domain', name: 'finance' },
  admin: { id: 'dom_admin', kind: 'admin', name: 'admin' },
} as const;

/** What a document with the placeholder is used as, wherever it is used. */
function usedTexts(surface: AnySurface, document: unknown, value: string): string {
  const asked: string[] = [];
  const give = (pointer: string, reference: string): SecretValue => {
    asked.push(pointer);
    expect(reference).toBe('secret://global/managed/probe');
    return SecretValue.fromText(value);
  };
  const fields = surface.fields(document);
  const { document: resolved, unfit } = withResolvedTexts(surface, document, give);
  expect(unfit).toEqual([]);
  const credentials = new CredentialValues(fields, give);
  const texts = fields.flatMap(({ name, content }) =>
    content.kind === 'text' && content.isCredential === true ? [credentials.get(name)?.revealText() ?? ''] : [],
  );
  credentials.destroy();
  if (surface.launch === undefined) {
    const { credentials: _held, password: _password, ...rest } = resolved as Record<string, unknown>;
    const { accessKey: _access, secretKey: _secret, bindCredential: _bind, ...plain } = rest;
    return JSON.stringify([plain, texts]);
  }
  const { spec } = surface.launch.render(document, {
    name: 'a',
    home: '/tmp/strongroom-none',
    storage: [],
    value: give,
  });
  const files = spec.files.map(({ content }) => Buffer.from(content).toString());
  return JSON.stringify([[...spec.environment], spec.command, files]);
}

function expectResolved(surface: AnySurface, input: Json, pointer: string): void {
  const value = values[pointer] ?? 'probe-value';
  const { document, credentials } = surface.normalise(input, scopes[surface.scope]);
  const change = [...(credentials ?? [])].find(([, each]) => each.kind === 'text');
  const { member } = surface.credentials ?? {};
  const held = change === undefined ? {} : { [change[0]]: { value: change[1].kind === 'text' ? change[1].text : '' } };
  const whole = { ...(document as object), ...(member === undefined ? held : { [member]: held }) };
  refuseUnresolved(surface as Parameters<typeof refuseUnresolved>[0], whole as never);
  const used = usedTexts(surface, whole, value);
  expect([pointer, used.includes('${secrets.'), used.includes(value)]).toEqual([pointer, false, true]);
}

function refusalOf(work: () => unknown): StrongroomError {
  try {
    work();
  } catch (error) {
    if (error instanceof StrongroomError) return error;
    throw error;
  }
  throw new Error('It was accepted');
}

const seen = new Set<string>();
function noteLine(name: FormName, pointer: string): void {
  for (const line of Object.keys(unresolvedFields[name])) {
    const parts = line.split('/').map((part) => (part === '**' ? '.*' : part.replace('*', '[^/]*')));
    if (new RegExp(`^${parts.join('/').replace('/.*', '(?:/.*)?')}$`).test(pointer)) seen.add(`${name} ${line}`);
  }
}

describe.each(distinctForms)('$operation', ({ name, schema }) => {
  const validate = routeValidator('body', schema);
  const all = textPointers(schema).filter((pointer) => name !== 'connection' || !pointer.startsWith('/config'));
  const cases = all.map((pointer): [string, UnresolvedReason | undefined] => {
    noteLine(name, pointer);
    return [pointer, unresolvedReason(name, pointer)];
  });

  it('resolves a placeholder in every text, or refuses it and says what to do', () => {
    expect(cases.length).toBeGreaterThan(2);
    for (const [pointer, reason] of cases) {
      const { properties: known = {} } = schema as { properties?: Json };
      const own = Object.fromEntries(Object.entries(samples[name]).filter(([part]) => part in known));
      const input = withText(
        {
          ...own,
          ...('recipient' in known ? { recipient: 'ann@example.org' } : {}),
          ...('what' in known ? { what: 'connection' } : {}),
        },
        pointer,
        probe,
      );
      const answer = validate(structuredClone(input));
      if (reason !== undefined && reason !== 'people') {
        const errors = 'error' in answer ? (answer.error.errors ?? []) : [];
        expect([pointer, errors]).toEqual([
          pointer,
          expect.arrayContaining([{ pointer, message: unresolvedMessage(reason) }]),
        ]);
        continue;
      }
      expect([pointer, 'error' in answer ? answer.error.errors : []]).toEqual([pointer, []]);
      if (name === 'notices') throw new Error(`${pointer} is resolved by nothing`);
      const surface = surfaces[name] as AnySurface;
      const form = Object.fromEntries(Object.entries(input).filter(([part]) => !ownParts.has(part)));
      if (reason === undefined) expectResolved(surface, form, pointer);
      else expect(surface.normalise(form, scopes[surface.scope]).document).toMatchObject({ description: probe });
    }
  });
});

/** A config of the least that a schema takes. */
function sampleConfig(schema: ConfigSchema): unknown {
  if (schema.type === 'object') {
    const names = schema.required ?? [];
    const required = Object.entries(schema.properties ?? {}).filter(
      ([name, each]) => names.includes(name) && each.format === undefined,
    );
    return Object.fromEntries(required.map(([name, each]) => [name, sampleConfig(each)]));
  }
  if (schema.type === 'array') return [];
  if (schema.type === 'boolean') return true;
  if (schema.type !== 'string') return schema.minimum ?? 1;
  return schema.enum?.[0] ?? (schema['x-destination'] === true ? 'db.example.org:99' : 'text');
}

/** Places of the texts of a config, each with why nothing is resolved there; passwords by the part that is sent. */
function configCases(
  schema: ConfigSchema,
  pointer = '/config',
  isItem = false,
): [string, UnresolvedReason | undefined][] {
  if (schema.format === 'password') return ['set', 'value'].map((part) => [`${pointer}/${part}`, undefined]);
  if (schema.type === 'string') return [[pointer, unresolvedConfigReason(schema, isItem)]];
  if (schema.items !== undefined) return configCases(schema.items, `${pointer}/0`, schema.items.type === 'object');
  return Object.entries(schema.properties ?? {}).flatMap(([name, each]) =>
    configCases(each, `${pointer}/${name}`, isItem && name === 'id'),
  );
}

const ownSchema = {
  type: 'object',
  properties: {
    label: { type: 'string' },
    mode: { type: 'string', enum: ['a', 'b'] },
    host: { type: 'string', 'x-destination': true },
    lines: { type: 'array', items: { type: 'string' } },
    sources: {
      type: 'array',
      items: {
        type: 'object',
        properties: { id: { type: 'string' }, user: { type: 'string' }, token: { type: 'string', format: 'password' } },
        required: ['id'],
      },
    },
  },
} as const satisfies ConfigSchema;

describe.each(
  [...connectionTypes.values()].map(({ type, schema }) => ({ type, schema: type === 'custom' ? ownSchema : schema })),
)('a connection of type $type', ({ type, schema }: { type: string; schema: ConfigSchema }) => {
  it('resolves a placeholder in every text of its config, or refuses it and says what to do', () => {
    const surface = surfaces.connection as AnySurface;
    const form = { type, config: sampleConfig(schema), ...(type === 'custom' ? { schema } : {}) };
    const cases = configCases(schema);
    expect(cases.length).toBeGreaterThan(1);
    for (const [pointer, reason] of cases) {
      // An item is known by its id.
      const item = pointer.startsWith('/config/sources/0/') ? withText(form, '/config/sources/0/id', 'one') : form;
      // What is around a text that may be left out.
      const around = pointer
        .split('/')
        .slice(2, -1)
        .reduce<Json>((input, _name, index, names) => {
          const at = names.slice(0, index + 1);
          const part = at.reduce<ConfigSchema | undefined>(
            (each, name) => each?.properties?.[name] ?? each?.items,
            schema,
          );
          const isThere = at.reduce<unknown>((each, name) => Object(each)[name], input['config']) !== undefined;
          if (part === undefined || part.format === 'password' || isThere) return input;
          const copy = structuredClone(input) as { config: unknown };
          const parent = at.slice(0, -1).reduce<unknown>((each, name) => Object(each)[name], copy.config);
          (parent as Record<string, unknown>)[at.at(-1) ?? ''] = sampleConfig(part);
          return copy;
        }, item);
      const input = withText(around, pointer, probe);
      if (reason === undefined) {
        expectResolved(surface, input, pointer);
        continue;
      }
      const { code, errors } = refusalOf(() => surface.normalise(input, scopes.domain));
      expect([code, errors]).toEqual([
        'validation_failed',
        expect.arrayContaining([{ pointer, message: unresolvedMessage(reason) }]),
      ]);
    }
  });
});

it('looks at every form with fields that take secrets, and of every surface', () => {
  const takesSecrets = (part: unknown): boolean =>
    typeof part === 'object' &&
    part !== null &&
    (secretCapableKeyword in part || Object.values(part).some(takesSecrets));
  const unmarked = routes.filter(
    ({ body }: { readonly body?: object }) => takesSecrets(body) && !(formKeyword in Object(body)),
  );
  expect(unmarked.map(({ id }) => id)).toEqual([]);
  for (const name of Object.keys(surfaces))
    expect([name, forms.filter((form) => form.name === name).length > 1]).toEqual([name, true]);
});

it('has no line in the table that is of no field', () => {
  const lines = Object.entries(unresolvedFields).flatMap(([name, each]) =>
    Object.keys(each).map((line) => `${name} ${line}`),
  );
  expect(lines.filter((line) => !seen.has(line))).toEqual([]);
});

it('is found where nothing secret may be, and is said to stay there', () => {
  const stays = (list: string, name: string, value: string) => {
    const document = { command: ['true'], environment: [], sparkConfig: [], files: [], [list]: [{ name, value }] };
    return findingsIn(surfaces['spark-job'], document, new Map()).map(({ pointer, stays: reason }) => [
      pointer,
      reason,
    ]);
  };
  for (const text of ['${secrets.db}', '-Dp=${secrets.db}', '{{secrets/jobs/db}}']) {
    const found = stays('sparkConfig', 'spark.driver.extraJavaOptions', text);
    expect(found).toEqual([['/sparkConfig/0/value', 'other-place']]);
    expect(stays('environment', 'SPARK_SUBMIT_OPTS', text)).toEqual([['/environment/0/value', 'other-place']]);
  }
  expect(stays('sparkConfig', 'spark.app.phrase', '${secrets.db}')).toEqual([['/sparkConfig/0/value', undefined]]);
});
