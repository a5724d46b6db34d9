import { Type, type TObject, type TOptional, type TString } from 'typebox';
import { backendDeclarations } from '../backends/index.ts';
import type { BackendDeclaration, CredentialDeclaration } from '../backends/declaration.ts';
import { FreeText, Id, IntegrationName, Label, ManagedBy, Time } from '../names.ts';
import { scopeKinds } from '../roles.ts';
import { ActionsField, Closed } from '../route.ts';

/** One line a kind of backend: bodies and answers are unions over these. */
const { VAULT, AWS, AZURE, GOOGLE } = backendDeclarations;

const IntegrationType = Type.Enum(Object.values(backendDeclarations).map(({ type }) => type));
const IntegrationSettings = Type.Union([VAULT.settings, AWS.settings, AZURE.settings, GOOGLE.settings]);

type CredentialFields<Names extends PropertyKey> = TObject<{ [Name in Names & string]: TOptional<TString> }>;

/** Credentials of a kind by name, each optional: which are needed depends on how it signs in. */
function credentialsOf<const Declaration extends BackendDeclaration>(
  declaration: Declaration,
): CredentialFields<keyof Declaration['credentials']> {
  const fields = Object.entries(declaration.credentials).map(([name, credential]) => [
    name,
    credentialField(credential),
  ]);
  // The keys are the declaration's own, which the type of Object.entries forgets.
  return Closed(Object.fromEntries(fields), {
    description: 'Written and kept sealed; never part of an answer',
  });
}

function credentialField({ title, maxBytes }: CredentialDeclaration) {
  return Type.Optional(Type.String({ minLength: 1, maxLength: maxBytes, writeOnly: true, description: title }));
}

/** What says where an integration leads and how it signs in. */
function connectionOf<const Declaration extends BackendDeclaration>(declaration: Declaration) {
  return {
    type: Type.Literal<Declaration['type']>(declaration.type),
    settings: declaration.settings as Declaration['settings'],
    credentials: Type.Optional(credentialsOf(declaration)),
    profile: Type.Optional(
      Type.String({ maxLength: 53, description: 'A profile of ambient identity, in place of credentials' }),
    ),
  };
}

const labelling = { description: Type.Optional(FreeText) } as const;
const made = { ...labelling, managedBy: ManagedBy } as const;
const Bundle = Type.Optional(Label);

const IntegrationCredentials = Type.Union([
  credentialsOf(VAULT),
  credentialsOf(AWS),
  credentialsOf(AZURE),
  credentialsOf(GOOGLE),
]);

/** Of a domain; elsewhere there are no bundles. */
export const DomainIntegrationCreate = Type.Union([
  Closed({ name: IntegrationName, ...made, bundle: Bundle, ...connectionOf(VAULT) }),
  Closed({ name: IntegrationName, ...made, bundle: Bundle, ...connectionOf(AWS) }),
  Closed({ name: IntegrationName, ...made, bundle: Bundle, ...connectionOf(AZURE) }),
  Closed({ name: IntegrationName, ...made, bundle: Bundle, ...connectionOf(GOOGLE) }),
]);
export const PlatformIntegrationCreate = Type.Union([
  Closed({ name: IntegrationName, ...made, ...connectionOf(VAULT) }),
  Closed({ name: IntegrationName, ...made, ...connectionOf(AWS) }),
  Closed({ name: IntegrationName, ...made, ...connectionOf(AZURE) }),
  Closed({ name: IntegrationName, ...made, ...connectionOf(GOOGLE) }),
]);

const saved = Type.Optional(
  Type.String({
    maxLength: 53,
    description: 'A saved integration, whose credentials are used while nothing changed that asks for them anew',
  }),
);
export const IntegrationForm = Type.Union([
  Closed({ integration: saved, ...connectionOf(VAULT) }),
  Closed({ integration: saved, ...connectionOf(AWS) }),
  Closed({ integration: saved, ...connectionOf(AZURE) }),
  Closed({ integration: saved, ...connectionOf(GOOGLE) }),
]);

const changes = {
  ...labelling,
  settings: Type.Optional(IntegrationSettings),
  credentials: Type.Optional(IntegrationCredentials),
  profile: Type.Optional(Type.Union([Type.String({ maxLength: 53 }), Type.Null()])),
} as const;
export const DomainIntegrationUpdate = Closed({ ...changes, bundle: Bundle });
export const PlatformIntegrationUpdate = Closed(changes);

const SourceError = Closed({
  code: Type.String({ description: 'A code of the error table' }),
  message: Type.String(),
});

const IntegrationHealth = Closed(
  {
    state: Type.Enum(['unknown', 'healthy', 'unhealthy']),
    error: Type.Optional(SourceError),
    checkedAt: Type.Union([Time, Type.Null()]),
  },
  { description: 'Of the last test or refresh' },
);

const IndexState = Closed(
  {
    keys: Type.Integer(),
    isComplete: Type.Boolean({ description: 'false: there are more keys than the index takes, or none was made yet' }),
    indexedAt: Type.Union([Time, Type.Null()]),
    ageSeconds: Type.Union([Type.Integer(), Type.Null()]),
  },
  { description: 'What selectors are served from' },
);

/** Everything that may be seen of an integration. */
export const Integration = Closed(
  {
    id: Id,
    name: IntegrationName,
    scope: Type.Enum([...scopeKinds]),
    domain: Type.Optional(Label),
    bundle: Type.Optional(Type.String()),
    type: IntegrationType,
    description: Type.String(),
    settings: IntegrationSettings,
    profile: Type.Optional(Type.String()),
    credentials: Type.Array(
      Closed({ name: Type.String(), version: Type.String(), setAt: Time, setBy: Type.String() }),
      { description: 'Which credentials are kept, and since when; never what they are' },
    ),
    health: IntegrationHealth,
    index: IndexState,
    usedBy: Type.Integer({
      description: 'Fields that refer to one of its keys, of configurations, clusters and notices',
    }),
    managedBy: ManagedBy,
    revision: Type.Integer(),
    createdAt: Time,
    createdBy: Type.String(),
    updatedAt: Time,
    updatedBy: Type.String(),
    actions: ActionsField,
  },
  { description: 'A connection to somebody’s own backend, without its credentials' },
);

export const TestResult = Closed(
  {
    ok: Type.Boolean(),
    lines: Type.Array(
      Closed({
        step: Type.Enum(['address', 'reachable', 'tls', 'state', 'login', 'store', 'list', 'read', 'write']),
        outcome: Type.Enum(['ok', 'failed', 'skipped']),
        code: Type.Optional(Type.String({ description: 'A code of the error table: why it failed' })),
        message: Type.String(),
      }),
    ),
  },
  { description: 'A line for each step, in the order in which they depend on each other' },
);

/** Keys that one run of the conformance suite reads at most. */
const maxConformanceKeys = 20;

export const ConformanceRequest = Closed({
  keys: Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 1024 }), {
      minItems: 1,
      maxItems: maxConformanceKeys,
      uniqueItems: true,
      description: 'Keys that are there, to be read; without them the first ones of its list',
    }),
  ),
});

export const ConformanceReport = Closed({
  ok: Type.Boolean({ description: 'No check failed and all were reached' }),
  isComplete: Type.Boolean({ description: 'false: the time was over before the last check' }),
  keys: Type.Integer({ description: 'Keys that were read' }),
  checks: Type.Array(
    Closed({
      name: Type.String(),
      about: Type.String(),
      outcome: Type.Enum(['passed', 'failed', 'not-applicable']),
      reason: Type.Optional(Type.String({ description: 'What is wrong, or why it could not be tried' })),
      durationMilliseconds: Type.Integer(),
    }),
  ),
});

export const RefreshResult = Closed({ health: IntegrationHealth, index: IndexState });

/** A source as selectors show it. */
export const ChoiceSource = Closed({
  scope: Type.Enum([...scopeKinds]),
  source: Type.String(),
  sourceType: Type.String(),
  health: IntegrationHealth,
  index: Type.Optional(IndexState),
});

export const Choice = Closed({
  reference: Type.String({ description: 'Canonical reference' }),
  key: Type.String(),
  field: Type.Optional(Type.String()),
  scope: Type.Enum([...scopeKinds]),
  source: Type.String({ description: 'managed, or the name of an integration' }),
  sourceType: Type.String(),
});
