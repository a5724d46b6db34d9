import { Type } from 'typebox';
import { Label } from '../names.ts';
import { Closed } from '../route.ts';
import { connectionTypeNames } from './connection-types.ts';
import { commonInput, configurationFields, surfaceLimits, Warning } from './fields.ts';
import { formKeyword } from './unresolved-fields.ts';

/** A connection for ingestion, in the manner of OpenMetadata: a type, and a config of the type's JSON Schema. */

const Free = (description: string) => Type.Record(Type.String({ maxLength: 253 }), Type.Unknown(), { description });

const shared = {
  type: Type.Enum([...connectionTypeNames], { description: 'See GET /v1/connection-types for the schema of each' }),
};

const input = {
  ...shared,
  ...commonInput,
  schema: Type.Optional(
    Free(
      `Of type custom: the JSON Schema of config, of the keywords that GET /v1/connection-types shows; at most ${surfaceLimits.entries} fields`,
    ),
  ),
  config: Free(
    'As the schema says. A field of format password is one of {"set": text}, {"secret": reference}, {"keep": true} and {"clear": true}; a reference may also be written as secret:NAME',
  ),
};

export const ConnectionCreate = Closed({ name: Label, ...input }, { [formKeyword]: 'connection' });
/** A whole new document but for fields of format password, which stay unless set or cleared. `bundle` left out: unchanged. */
export const ConnectionUpdate = Closed({ name: Type.Optional(Label), ...input }, { [formKeyword]: 'connection' });

export const Connection = Closed({
  ...configurationFields,
  ...shared,
  description: commonInput.description,
  deleted: Type.Boolean({ description: 'Deleted softly: it is kept with its secrets, and used for nothing' }),
  schema: Type.Optional(Free('Of type custom')),
  config: Free('A field of format password is {isSet, secret, isOwned}'),
  warnings: Type.Array(Warning),
});

export const ConnectionTypeInfo = Closed({
  type: Type.String(),
  title: Type.String(),
  category: Type.String({ description: 'First component of the name of its secrets' }),
  serviceType: Type.Optional(Type.String({ description: 'In OpenMetadata' })),
  tests: Type.Array(Type.Enum(['tcp', 'sql']), { description: 'What a test tries' }),
  schema: Free('JSON Schema of config; format password: a secret; x-destination: where secrets are sent'),
});

/** Where a runtime of OpenMetadata gets the settings of its secrets manager. */
export const workflowLoaders = ['noop', 'airflow', 'env'] as const;

export const ConnectionWorkflow = Closed({
  workflow: Free('The document that OpenMetadata’s ingestion takes; secret:NAME in place of each secret'),
});
