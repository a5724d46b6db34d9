import { Type, type TProperties, type TSchema } from 'typebox';
import { databricksNamePattern } from '../legacy-forms.ts';
import { Label } from '../names.ts';
import { Closed, pageQuery, route } from '../route.ts';
import { type DomainSurface, platformSurfaces, surfaceActions } from '../surfaces/actions.ts';

/** What can be found in a field: how texts of older installations name secrets, and secrets that are there themselves. */
export const legacyKinds = [
  'placeholder',
  'malformed-placeholder',
  'plain-secret',
  'databricks-template',
  'databricks-call',
] as const;
export type LegacyKind = (typeof legacyKinds)[number];

/** Why a field stays as it is. */
export const stayReasons = [
  'not-closed',
  'no-key',
  'inside-text',
  'other-place',
  'file-format',
  'text-only',
  'unknown-key',
  'not-usable',
  'key-taken',
  'scope-not-mapped',
  'in-code',
  'unreadable',
  'not-asked',
] as const;
export type StayReason = (typeof stayReasons)[number];

const surfaceNames = [...(Object.keys(surfaceActions) as DomainSurface[]), ...platformSurfaces] as const;

const configurationName = {
  surface: Type.Enum([...surfaceNames]),
  name: Label,
  revision: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 2_147_483_647, description: 'Only while it is at this one' }),
  ),
};
const onlyThese = { minItems: 1, maxItems: 200, description: 'Only these; absent: all that the caller may see' };

const options = {
  configurations: Type.Optional(
    Type.Array(
      Closed({
        ...configurationName,
        pointers: Type.Optional(
          Type.Array(Type.String({ minLength: 1, maxLength: 512 }), {
            minItems: 1,
            maxItems: 1000,
            description: 'Only these fields',
          }),
        ),
      }),
      onlyThese,
    ),
  ),
  databricksScopes: Type.Optional(
    Type.Array(
      Closed({
        name: Type.String({ pattern: databricksNamePattern, description: 'As Databricks calls the scope' }),
        target: Type.String({
          minLength: 1,
          maxLength: 1024,
          description:
            'What stands before the key of Databricks in the reference: secret://domain/managed/jobs- makes secret://domain/managed/jobs-KEY',
        }),
      }),
      { maxItems: 100, description: 'Where the secrets of the scopes of Databricks are here' },
    ),
  ),
};

const limited = Closed({
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 200, default: 50, description: 'Configurations to look at' }),
  ),
  cursor: pageQuery.cursor,
});

const LegacyFinding = Closed({
  pointer: Type.String({ description: 'JSON pointer of the field, in the configuration' }),
  name: Type.String({ description: 'The variable, property or file' }),
  line: Type.Integer({ description: 'In the text of the field, from 1' }),
  kind: Type.Enum([...legacyKinds]),
  names: Type.Optional(
    Type.String({ description: 'The key it names, or SCOPE/KEY of Databricks; never what a plain secret is' }),
  ),
  becomes: Type.Optional(Type.String({ description: 'The reference that would stand in its place' })),
  createsSecret: Type.Optional(Type.Literal(true, { description: 'The reference is to a secret that would be made' })),
  stays: Type.Optional(Type.Enum([...stayReasons], { description: 'Why nothing would stand in its place' })),
  message: Type.Optional(Type.String({ description: 'The same for people' })),
});

const named = { surface: Type.Enum([...surfaceNames]), configuration: Type.String() };
const counted = {
  configurations: Type.Integer({ description: 'Configurations that were looked at' }),
  nextCursor: Type.Optional(Type.String()),
};

const Scanned = Closed({
  items: Type.Array(Closed({ ...named, revision: Type.Integer(), findings: Type.Array(LegacyFinding) }), {
    description: 'Configurations in which something was found',
  }),
  ...counted,
});

/** What became of the configurations in which there was something. */
function Rewritten<const Field extends TSchema>(field: Field) {
  return Closed({
    items: Type.Array(
      Closed({
        ...named,
        outcome: Type.Enum(['changed', 'would-change', 'unchanged', 'failed']),
        revision: Type.Integer({ description: 'The one it is at now' }),
        managedBy: Type.Optional(Type.String({ description: 'What applies it: change it there, too' })),
        fields: Type.Array(field),
        problem: Type.Optional(
          Closed({
            code: Type.String(),
            detail: Type.String(),
            errors: Type.Optional(Type.Array(Closed({ pointer: Type.String(), message: Type.String() }))),
          }),
        ),
      }),
    ),
    ...counted,
  });
}

const UndoneField = Closed({
  name: Type.String({ description: 'The variable, property or file' }),
  pointer: Type.Optional(Type.String({ description: 'Where it was found; absent where it is gone' })),
  reference: Type.String({ description: 'What a migration put there' }),
  restores: Type.Optional(Type.String({ description: 'The placeholder that stands there again' })),
  stays: Type.Optional(Type.Enum(['edited-since', 'secret-kept'])),
  message: Type.Optional(Type.String()),
});

const dryRun = Type.Optional(Type.Boolean({ description: 'Decide everything, change nothing' }));

const base = { tag: 'placeholders', access: { kind: 'scope', action: 'domain.view' }, status: 200 } as const;
/** Of the server; what stops one configuration alone is said beside it. */
const saveErrors = ['audit_unavailable', 'storage_full', 'key_unavailable', 'version_conflict'] as const;
const scopeErrors = ['validation_failed', 'reference_malformed', 'cursor_invalid'] as const;

function placeholderRoutesUnder<const Kind extends '' | 'Platform', const Scope extends TProperties>(
  kind: Kind,
  path: string,
  scope: Scope,
) {
  return [
    route({
      ...base,
      id: `scan${kind}Placeholders`,
      method: 'POST',
      path: `${path}/placeholders/scan`,
      summary: 'Look through configurations for placeholders, plain secrets and secrets of Databricks; changes nothing',
      params: Closed({ ...scope }),
      query: limited,
      body: Closed(options),
      response: Scanned,
      errors: scopeErrors,
    }),
    route({
      ...base,
      id: `migrate${kind}Placeholders`,
      method: 'POST',
      path: `${path}/placeholders/migrate`,
      summary:
        'Put references in their place, each configuration in a transaction of its own; needs UPDATE of it and USE of all it holds. Can be repeated',
      feature: 'secretsV2',
      params: Closed({ ...scope }),
      query: limited,
      body: Closed({
        ...options,
        dryRun,
        createSecrets: Type.Optional(
          Type.Boolean({ description: 'Make managed secrets of plain ones; that can not be undone' }),
        ),
      }),
      response: Rewritten(LegacyFinding),
      errors: [...scopeErrors, ...saveErrors],
    }),
    route({
      ...base,
      id: `undo${kind}Placeholders`,
      method: 'POST',
      path: `${path}/placeholders/undo`,
      summary: 'Put back what a migration replaced, but for what was edited since; needs UPDATE of each configuration',
      params: Closed({ ...scope }),
      query: limited,
      body: Closed({ configurations: Type.Optional(Type.Array(Closed(configurationName), onlyThese)), dryRun }),
      response: Rewritten(UndoneField),
      errors: [...scopeErrors, ...saveErrors],
    }),
  ] as const;
}

export const placeholderRoutes = placeholderRoutesUnder('', '/v1/domains/{domain}', { domain: Label });
export const platformPlaceholderRoutes = placeholderRoutesUnder('Platform', '/v1/platform', {});
