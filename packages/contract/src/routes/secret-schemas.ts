import { Type } from 'typebox';
import { Folder, FreeText, Id, Label, Tag, Time } from '../names.ts';
import { scopeKinds } from '../roles.ts';
import { ActionsField, Closed } from '../route.ts';

/** Largest number of fields of a multi-field value. */
const maxFields = 100;

/**
 * A value on its way in: exactly one of `value` (text), `valueBase64` (bytes) or `fields` (a JSON object of texts, addressed
 * by `field` in references). It is stored unaltered and never comes out.
 */
export const valueInput = {
  value: Type.Optional(Type.String({ writeOnly: true, description: 'The value as text; any text, also empty' })),
  valueBase64: Type.Optional(
    Type.String({
      writeOnly: true,
      contentEncoding: 'base64',
      description: 'The value as bytes, in base64 (RFC 4648 §4)',
    }),
  ),
  fields: Type.Optional(
    Type.Record(Type.String({ minLength: 1, maxLength: 253 }), Type.String(), {
      writeOnly: true,
      minProperties: 1,
      maxProperties: maxFields,
      description: 'The value as named fields',
    }),
  ),
} as const;

const Destination = Closed({
  scheme: Type.String({ pattern: '^[a-z][a-z0-9+.-]{0,31}$' }),
  host: Type.String({ minLength: 1, maxLength: 253 }),
  port: Type.Integer({ minimum: 1, maximum: 65_535 }),
});

export const editable = {
  description: Type.Optional(FreeText),
  folder: Type.Optional(Folder),
  tags: Type.Optional(Type.Array(Tag, { maxItems: 50, uniqueItems: true })),
  owner: Type.Optional(
    Type.String({ maxLength: 200, description: 'Who answers for it: a person, a team, an address' }),
  ),
  expiresAt: Type.Optional(Type.Union([Time, Type.Null()])),
  rotateEveryDays: Type.Optional(Type.Union([Type.Integer({ minimum: 1, maximum: 3650 }), Type.Null()])),
  destinations: Type.Optional(Type.Union([Type.Array(Destination, { minItems: 1, maxItems: 50 }), Type.Null()])),
} as const;

/** Everything anybody may see of a secret. */
export const SecretMetadata = Closed(
  {
    id: Id,
    key: Type.String({
      description:
        'Exact. One that is made here is of the key grammar; what another program left is named as it is there',
      examples: ['finance-stripe-api-key'],
    }),
    reference: Type.String({ description: 'Canonical reference' }),
    scope: Type.Enum([...scopeKinds]),
    domain: Type.Optional(Label),
    source: Type.String({ description: 'managed, or the name of an integration' }),
    sourceType: Type.String({ description: 'DATABASE, KUBERNETES or VAULT for managed' }),
    storeState: Type.Optional(
      Type.Enum(['foreign-edit', 'missing'], {
        description: 'What was found in a store outside the database, until the next value of ours',
      }),
    ),
    isUnmarked: Type.Optional(
      Type.Boolean({
        description: 'true: another program left its entry, so that it is only read until `strongroom store adopt`',
      }),
    ),
    nameProblem: Type.Optional(
      Type.Enum(['odd', 'clash'], {
        description: 'Of an entry that another program left. odd: no key of ours; clash: another differs in case alone',
      }),
    ),
    shape: Type.Enum(['text', 'binary', 'fields']),
    fields: Type.Optional(Type.Array(Type.String(), { description: 'Names of the fields; never their values' })),
    description: Type.String(),
    folder: Type.String(),
    tags: Type.Array(Type.String()),
    owner: Type.String(),
    expiresAt: Type.Union([Time, Type.Null()]),
    isExpired: Type.Boolean(),
    rotateEveryDays: Type.Union([Type.Integer(), Type.Null()]),
    rotation: Type.Enum(['none', 'fresh', 'due'], { description: 'due: older than its rotation period' }),
    destinations: Type.Union([Type.Array(Destination), Type.Null()]),
    version: Type.String({ description: 'epoch.n; n grows with every value' }),
    usedBy: Type.Integer({
      description:
        'Fields that hold a reference to it, of configurations, clusters and notices, as far as the caller may see',
    }),
    rotatedAt: Time,
    createdAt: Time,
    createdBy: Type.String(),
    updatedAt: Time,
    updatedBy: Type.String(),
    lastLaunchedAt: Type.Union([Time, Type.Null()]),
    deletedAt: Type.Union([Time, Type.Null()]),
    purgeAfter: Type.Union([Time, Type.Null()]),
    revision: Type.Integer(),
    actions: ActionsField,
  },
  { description: 'A secret, without its value' },
);

/** A key of an integration in a list of secrets: what it holds is changed where it is. */
export const IntegrationKey = Closed(
  {
    isReadOnly: Type.Literal(true, { description: 'Only keys of integrations have it' }),
    key: Type.String({ description: 'As the backend names it' }),
    reference: Type.String({ description: 'Canonical reference' }),
    scope: Type.Enum([...scopeKinds], { description: 'Where its integration is: in this scope, or Global' }),
    domain: Type.Optional(Label),
    source: Type.String({ description: 'The name of the integration' }),
    sourceType: Type.String({ description: 'VAULT, AWS, GOOGLE or AZURE' }),
    fields: Type.Optional(Type.Array(Type.String(), { description: 'Names of the fields, where listing tells them' })),
    usedBy: Type.Integer({
      description:
        'Fields that hold a reference to it, of configurations, clusters and notices, as far as the caller may see',
    }),
    actions: ActionsField,
  },
  { description: 'A key of an integration that the caller may use, as it was last listed' },
);

export const SecretVersion = Closed({
  version: Type.String(),
  isCurrent: Type.Boolean(),
  shape: Type.Enum(['text', 'binary', 'fields']),
  fields: Type.Optional(Type.Array(Type.String())),
  createdAt: Time,
  createdBy: Type.String(),
  copiedFrom: Type.Optional(Type.String({ description: 'The version a rollback took its value from' })),
});

export const Use = Closed({
  surface: Type.String(),
  configuration: Type.Optional(Type.String({ description: 'Absent where the caller may not see it' })),
  domain: Type.String(),
  pointer: Type.String({ description: 'RFC 6901 pointer of the field' }),
  name: Type.String({ description: 'The variable or property' }),
  reference: Type.String(),
  kind: Type.Enum(['reference', 'placeholder']),
  authorisedBy: Type.Optional(Type.String({ description: 'Absent like `configuration`' })),
});

/** What a change broke, in its answer. */
export const broken = {
  brokenUses: Type.Array(Use, { maxItems: 200 }),
  isComplete: Type.Boolean({ description: 'false: more fields are broken than one answer names' }),
};

export const DriftItem = Closed({
  launch: Type.String(),
  kind: Type.Enum(['run', 'workload']),
  configuration: Type.Union([Type.String(), Type.Null()]),
  domain: Type.String(),
  name: Type.String({ description: 'The variable or property' }),
  reference: Type.String(),
  version: Type.String({ description: 'What it got' }),
  currentVersion: Type.String(),
  state: Type.String(),
  startedAt: Time,
  endedAt: Type.Union([Time, Type.Null()]),
});

export const AccessItem = Closed({
  principal: Type.String(),
  action: Type.String(),
  because: Type.Array(Type.String()),
});

export const stateFilter = Type.Optional(
  Type.Enum(['stale', 'due-soon', 'expired', 'expiring', 'unused', 'shared-value', 'deleted'], {
    description: 'Only secrets in this state',
  }),
);

/** What an import does with what it reads, wherever it reads it. */
export const importOptions = {
  folder: Type.Optional(Folder),
  prefix: Type.Optional(
    Type.String({ maxLength: 100, pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$', description: 'Put before every key' }),
  ),
  onExisting: Type.Optional(Type.Enum(['refuse', 'skip', 'rotate'], { default: 'refuse' })),
  dryRun: Type.Optional(Type.Boolean()),
} as const;

export const ImportResult = Closed({
  isDryRun: Type.Boolean(),
  items: Type.Array(
    Closed({
      key: Type.String(),
      outcome: Type.Enum(['created', 'rotated', 'skipped', 'refused', 'failed'], {
        description: 'failed: not written; only in stores outside the database, where what came before it stays',
      }),
      reason: Type.Optional(Type.String()),
    }),
  ),
});
