import { Validator } from '@seriousme/openapi-schema-validator';
import { Type } from 'typebox';
import { describe, expect, it } from 'vitest';
import { actionTable } from './actions.ts';
import { errorTable, isErrorCode } from './errors.ts';
import { errorCodesOf, openapi } from './openapi.ts';
import { errorsPage, permissionsPage, routesPage } from './reference-pages.ts';
import { Closed, route, type RouteDeclaration } from './route.ts';
import { routes } from './routes/index.ts';

const all: readonly RouteDeclaration[] = routes;

/** What an operation's id may begin with; a new one is added here on purpose. */
const verbs = [
  'show list create add update put delete move set import export rotate rollBack restore purge issue revoke confirm',
  'check test refresh explain signIn signOut run redeploy stop suspend preflight resolve renew end bind unbind sync scan migrate undo',
].flatMap((line) => line.split(' '));

interface Operation {
  readonly operationId: string;
  readonly security: readonly object[];
  readonly parameters: readonly { readonly name?: string; readonly in?: string; readonly $ref?: string }[];
  readonly responses: Readonly<Record<string, object>>;
  readonly 'x-strongroom-errors': readonly string[];
}

const document = openapi(routes, '1.2.3') as unknown as {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
};

function operationOf(declared: RouteDeclaration): Operation {
  const operation = document.paths[declared.path]?.[declared.method.toLowerCase()];
  if (operation === undefined) throw new Error(`${declared.id} is not in the document`);
  return operation;
}

describe('openapi', () => {
  it('is a valid OpenAPI 3.1 document', async () => {
    const validator = new Validator();
    const result = await validator.validate(structuredClone(document));
    expect([result.valid, result.errors ?? []]).toEqual([true, []]);
    expect(validator.version).toBe('3.1');
  });

  it('has every route once, with a unique operationId and no word of TypeBox', () => {
    const operations = Object.values(document.paths).flatMap((path) => Object.values(path));
    expect(operations.map(({ operationId }) => operationId).sort()).toEqual(all.map(({ id }) => id).sort());
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
    expect(JSON.stringify(document)).not.toContain('~kind');
  });

  it('names each operation with its verb first', () => {
    const named = new RegExp(`^(?:${verbs.join('|')})(?:[A-Z][a-z]+)*$`);
    expect(all.map(({ id }) => id).filter((id) => !named.test(id))).toEqual([]);
    // One verb for one thing: no second word for what these say.
    expect(all.filter(({ id, method }) => /^(?:show|list)[A-Z]/.test(id) && method !== 'GET')).toEqual([]);
    expect(all.filter(({ id, method }) => /^(?:create|add)[A-Z]/.test(id) && method === 'GET')).toEqual([]);
  });

  it('asks for a sign-in wherever the route does, and names each problem a route can answer', () => {
    for (const declared of all) {
      const operation = operationOf(declared);
      expect([declared.id, operation.security.length > 0]).toEqual([declared.id, declared.access.kind !== 'public']);
      const statuses = Object.keys(operation.responses).filter((status) => status !== String(declared.status));
      expect(statuses).toEqual(
        [...new Set(errorCodesOf(declared).map((code) => String(errorTable[code].status)))].sort(),
      );
      expect(operation['x-strongroom-errors']).toEqual(errorCodesOf(declared));
    }
  });

  it('has one answer for each status, with all its codes', () => {
    const { responses } = (document as unknown as { components: { responses: Record<string, object> } }).components;
    for (const [code, { status }] of Object.entries(errorTable))
      expect(JSON.stringify(responses[`problem${status}`])).toContain(`"${code}"`);
  });

  it('has no response that could hold a value', () => {
    const hasValueField = (schema: unknown): boolean =>
      typeof schema === 'object' &&
      schema !== null &&
      Object.entries(schema).some(([name, child]) => {
        if (name === 'properties' && typeof child === 'object' && child !== null)
          return (
            ['value', 'valueBase64', 'fields', 'password', 'secretValue'].some((field) => {
              const property = (child as Record<string, { type?: string } | undefined>)[field];
              return property?.type === 'string';
            }) || hasValueField(child)
          );
        return hasValueField(child);
      });
    // Plain values of a configuration are not secrets; they come back as they were saved.
    const configurations = new Set(['spark-jobs', 'compute-clusters', 'notebooks', 'surfaces']);
    const suspects = all.filter(
      ({ tag, response }) => !configurations.has(tag) && hasValueField(JSON.parse(JSON.stringify(response ?? null))),
    );
    expect(suspects.map(({ id }) => id)).toEqual([]);
  });

  it('describes parameters, conditions and raw answers', () => {
    const sample = route({
      id: 'sample',
      method: 'PATCH',
      path: '/v1/domains/{domain}/things/{name}',
      summary: 'Change',
      tag: 'things',
      access: { kind: 'scope', action: 'secret.manage' },
      params: Closed({ domain: Type.String(), name: Type.String() }),
      query: Closed({ cursor: Type.Optional(Type.String()) }),
      body: Closed({ note: Type.String() }),
      status: 200,
      raw: { mediaType: 'text/csv', description: 'Lines' },
      ifMatch: true,
      idempotent: true,
      feature: 'secretsV2',
      errors: ['in_use'],
    });
    expect(errorCodesOf(sample)).toEqual(
      expect.arrayContaining([
        'in_use',
        'not_found',
        'cursor_invalid',
        'feature_disabled',
        'revision_mismatch',
        'idempotency_mismatch',
        'unauthenticated',
      ]),
    );
    expect(openapi([sample], '0')).toMatchObject({
      paths: {
        '/v1/domains/{domain}/things/{name}': {
          patch: {
            parameters: [
              { name: 'domain', in: 'path', required: true },
              { name: 'name', in: 'path', required: true },
              { name: 'cursor', in: 'query', required: false },
              { $ref: '#/components/parameters/ifMatch' },
              { $ref: '#/components/parameters/idempotencyKey' },
            ],
            responses: { 200: { content: { 'text/csv': {} } } },
            'x-strongroom-feature': 'secretsV2',
          },
        },
      },
    });
  });
});

describe('reference pages', () => {
  it('have every code, action and route', () => {
    for (const [code, { status, title }] of Object.entries(errorTable))
      expect(errorsPage()).toContain(`| \`${code}\` | ${status} | ${title} |`);
    for (const action of Object.keys(actionTable)) expect(permissionsPage()).toContain(`\`${action}\``);
    for (const { method, path, id } of all)
      expect(routesPage(routes)).toMatch(
        new RegExp(`\\| \`${method} ${path.replaceAll(/[{}]/g, '\\$&')}\` \\|[^\\n]*\\(\`${id}\`\\)`),
      );
  });
});

describe('the error table', () => {
  it('has statuses, sentences and hints in one style, without a value’s place in them', () => {
    for (const [code, row] of Object.entries(errorTable)) {
      expect(isErrorCode(code)).toBe(true);
      expect(code).toMatch(/^[a-z]+(?:_[a-z]+)*$/);
      expect(row.status).toBeGreaterThanOrEqual(400);
      expect(row.status).toBeLessThan(600);
      expect(row.title).toMatch(/^[A-Z].*[^.]$/);
      expect(row.hint).toMatch(/\.$/);
      expect(`${row.title}${row.hint}`).not.toMatch(/\$\{|%s/);
    }
    expect(isErrorCode('toString')).toBe(false);
  });
});
