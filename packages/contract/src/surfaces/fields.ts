import { type Static, Type } from 'typebox';
import { Id, Label, Time } from '../names.ts';
import { referenceScopes } from '../reference.ts';
import { ActionsField, Closed } from '../route.ts';
import { launchableSurfaces } from './actions.ts';

/** Parts that every surface's schema is made of. */

/** Keyword of a field that takes a reference; part of the OpenAPI document. Forms and `where-used` are made from it. */
export const secretCapableKeyword = 'x-secret-capable';

/** Limits of every surface; the schemas and the documentation are made from them. */
export const surfaceLimits = {
  /** Entries of one list of variables or properties. */
  entries: 500,
  /** Characters of a plain value. */
  valueLength: 65_536,
  files: 50,
  /** Characters of a file's content as written in the configuration. */
  fileContentLength: 262_144,
  /** Items of an argument vector. */
  arguments: 256,
  argumentLength: 8192,
  references: 500,
} as const;

export const ReferenceFields = Closed(
  {
    scope: Type.Enum([...referenceScopes], {
      description: 'domain: the domain of the configuration; global: every domain may use it',
    }),
    source: Type.Optional(
      Type.String({ maxLength: 253, description: '`managed` (default), or the name of an integration' }),
    ),
    key: Type.String({ minLength: 1, maxLength: 2048 }),
    field: Type.Optional(Type.String({ maxLength: 253, description: 'One field of a multi-field value' })),
  },
  { description: 'A reference to a secret' },
);

/** A reference as it may be sent: the object, or its URI form. */
export const SecretInput = Type.Union([
  ReferenceFields,
  Type.String({ maxLength: 2048, description: 'secret://SCOPE/SOURCE/KEY#FIELD' }),
]);

/** How IOMETE's API names a secret of a domain or of one of its Vault integrations. */
export const IometeSecrets = Type.Array(
  Closed({
    key: Type.String({ minLength: 1, maxLength: 255, description: 'The variable or property' }),
    secretObject: Closed({
      key: Type.String({ minLength: 1, maxLength: 2048 }),
      source: Closed({
        type: Type.Enum(['KUBERNETES', 'VAULT']),
        id: Type.Optional(Type.String({ maxLength: 253 })),
      }),
    }),
  }),
  { maxItems: surfaceLimits.entries },
);

/** `{name, value}` or `{name, secret}`: one of the two, which is checked beyond the schema so that the error can say so. */
export function NamedInputs(name: Parameters<typeof Type.String>[0], description: string) {
  return Type.Array(
    Closed({
      name: Type.String(name),
      value: Type.Optional(Type.String({ maxLength: surfaceLimits.valueLength })),
      secret: Type.Optional(SecretInput),
    }),
    { maxItems: surfaceLimits.entries, description, [secretCapableKeyword]: true },
  );
}

export const NamedValues = Type.Array(
  Closed({ name: Type.String(), value: Type.Optional(Type.String()), secret: Type.Optional(ReferenceFields) }),
);

export const Warning = Closed({
  pointer: Type.String({ description: 'JSON pointer of the field' }),
  code: Type.String({
    description:
      'plain-secret, unknown-placeholder, unknown-key, source-unavailable, ignored-here, short-value, reference-text',
  }),
  message: Type.String(),
});

/** `500m`, `4g`: as Spark writes memory. */
export const memoryPattern = '^[1-9][0-9]{0,5}[kmgt]b?$';

/** An environment variable's name that a configuration may set; ours begin with STRONGROOM_. */
export const jobVariablePattern = '^(?!STRONGROOM_)[A-Za-z_][A-Za-z0-9_]{0,254}$';

/** What every configuration takes beside its own fields. */
export const commonInput = {
  description: Type.Optional(Type.String({ maxLength: 2000 })),
  bundle: Type.Optional(
    Type.String({ maxLength: 53, description: 'Name of a bundle of the domain; default: the default bundle' }),
  ),
  managedBy: Type.Optional(
    Type.String({ maxLength: 253, description: 'What applies it, when it comes from a manifest' }),
  ),
};

/** A DNS label, as names in Kubernetes are. */
const clusterLabel = { pattern: '^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$' };

/** Where and as what the Kubernetes runner runs it. */
export const Kubernetes = Closed(
  {
    cluster: Type.Optional(
      Type.String({ ...clusterLabel, description: 'Where the domain has namespaces in several clusters' }),
    ),
    namespace: Type.Optional(
      Type.String({ ...clusterLabel, description: 'One of the domain’s; needed where it has several' }),
    ),
    form: Type.Optional(
      Type.Enum(['job', 'pod', 'spark-application'], {
        description:
          'Default: job for a command, spark-application for a Spark program, pod for what runs until it is stopped',
      }),
    ),
    serviceAccount: Type.Optional(
      Type.String({
        pattern: '^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$',
        description: 'ServiceAccount whose token the pod gets; without it the pod gets none',
      }),
    ),
    runAsUser: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 2_147_483_647,
        description: 'Default: the image’s, which is not to be root',
      }),
    ),
    sparkVersion: Type.Optional(
      Type.String({
        pattern: '^[0-9]{1,3}(?:\\.[0-9]{1,3}){1,2}$',
        description: 'Of the image; for the Spark operator',
      }),
    ),
  },
  { description: 'For the Kubernetes runner' },
);
export type KubernetesOptions = Static<typeof Kubernetes>;

/** What every configuration that is launched takes. */
export const launchInput = {
  storageConfigs: Type.Optional(
    Type.Array(Label, {
      maxItems: 50,
      description: 'Names of storage configurations of the domain; needs CONSUME of each',
    }),
  ),
  runner: Type.Optional(Type.Enum(['process', 'kubernetes'])),
  kubernetes: Type.Optional(Kubernetes),
};

/** Environment variables as they are sent, in our form and in IOMETE's. */
export const environmentInput = {
  environment: Type.Optional(NamedInputs({ pattern: jobVariablePattern }, 'Environment variables')),
  envSecrets: Type.Optional(IometeSecrets),
};

/** Spark properties as they are sent, in our form and in IOMETE's. */
export const sparkConfigInput = {
  sparkConfig: Type.Optional(
    NamedInputs(
      { pattern: '^spark\\.[A-Za-z0-9._-]{1,248}$' },
      'Spark properties, given in a file, never as arguments',
    ),
  ),
  sparkConfSecrets: Type.Optional(IometeSecrets),
};

/**
 * A scalar field that always holds a credential: one of its parts. A text that is typed becomes a managed secret that the
 * configuration owns; the configuration itself holds a reference.
 */
export const CredentialInput = Closed(
  {
    set: Type.Optional(Type.String({ minLength: 1, maxLength: surfaceLimits.valueLength, writeOnly: true })),
    value: Type.Optional(
      Type.String({ minLength: 1, maxLength: surfaceLimits.valueLength, writeOnly: true, description: 'As `set`' }),
    ),
    secret: Type.Optional(SecretInput),
    keep: Type.Optional(Type.Literal(true, { description: 'As it is; so is what is left out of an update' })),
    clear: Type.Optional(Type.Literal(true, { description: 'Away with it, and with the secret it owned' })),
  },
  { [secretCapableKeyword]: true },
);

/** What is shown of a credential field. */
export const CredentialState = Closed({
  isSet: Type.Boolean(),
  placeholder: Type.Optional(
    Type.String({ description: 'The text with placeholders, as it was written; what they stand for is nowhere shown' }),
  ),
  secret: Type.Optional(ReferenceFields),
  isOwned: Type.Optional(Type.Boolean({ description: 'The secret was typed here and goes with the configuration' })),
});

/** What every configuration shows beside its document. */
export const configurationFields = {
  id: Id,
  name: Label,
  domain: Type.String(),
  bundle: Type.String(),
  managedBy: Type.Optional(Type.String()),
  suspended: Type.Boolean(),
  revision: Type.Integer(),
  createdAt: Time,
  createdBy: Type.String(),
  updatedAt: Time,
  updatedBy: Type.String(),
  actions: ActionsField,
};

/** What a configuration of the platform shows beside its document. */
export const platformFields = {
  id: Id,
  revision: Type.Integer(),
  createdAt: Time,
  createdBy: Type.String(),
  updatedAt: Time,
  updatedBy: Type.String(),
  actions: ActionsField,
  warnings: Type.Array(Warning),
};

/** What a list shows of a configuration. */
export const ConfigurationSummary = Closed({
  ...configurationFields,
  references: Type.Integer({ description: 'How many references it holds' }),
});

/** What is running of a configuration that runs until it is stopped. */
export const RunningState = Closed({
  run: Id,
  state: Type.Enum(['queued', 'running']),
  restartRequired: Type.Boolean({ description: 'It was changed since this was launched' }),
});

/** A configuration that can be launched, of whichever kind. */
export const ConfigurationName = Closed({ surface: Type.Enum([...launchableSurfaces]), name: Label });
