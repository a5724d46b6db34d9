import { Type } from 'typebox';
import { referenceScopes } from '../reference.ts';
import { Closed } from '../route.ts';

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
    description: 'plain-secret, unknown-placeholder, unknown-key, source-unavailable, ignored-here, short-value',
  }),
  message: Type.String(),
});
