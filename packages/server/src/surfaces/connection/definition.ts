import { connectionTypes, surfaceActions } from '@strongroom/contract';
import type { ScopeRef } from '../../access/types.ts';
import { credentialFields } from '../credential-fields.ts';
import { type Field, FieldProblems, type Normalised, type SurfaceDefinition } from '../definition.ts';
import { given } from '../launch-inputs.ts';
import { checkConfig, configTexts, passwordFields, readConfig, schemaOf } from './config.ts';
import { readCustomSchema } from './custom-schema.ts';
import { boundTo, checkDestinations, destinationOf } from './destination.ts';
import { type ConnectionDocument, type ConnectionInput, fieldName, pathOf } from './document.ts';

/** The surface `connection`. */
export const connectionSurface = {
  type: 'connection',
  title: 'connection',
  scope: 'domain',
  actions: surfaceActions.connection,
  normalise,
  parse: (json) => JSON.parse(json) as ConnectionDocument,
  fields,
  authorityPart: ({ description: _description, credentials: _credentials, ...rest }) => rest,
  credentials: {
    names: [],
    namesIn: (document) => passwordFields(schemaOf(document), document.config),
    member: 'credentials',
    destination: destinationOf,
    boundTo,
    key,
  },
} satisfies SurfaceDefinition<ConnectionInput, ConnectionDocument>;

function normalise(input: ConnectionInput, scope: ScopeRef): Normalised<ConnectionDocument> {
  const problems = new FieldProblems();
  const { type, description } = input;
  const isCustom = type === 'custom';
  if (isCustom !== (input.schema !== undefined))
    problems.add('/schema', isCustom ? 'A custom connection comes with its schema.' : 'Only type custom has a schema.');
  const own = isCustom && input.schema !== undefined ? readCustomSchema(input.schema, problems) : undefined;
  problems.refuse('connection');
  const schema = schemaOf({ type, ...given({ schema: own }) });
  checkConfig(type, schema, input.config, problems);
  problems.refuse('connection');
  const { config, changes } = readConfig(schema, input.config, scope, problems);
  const document = { ...given({ description, schema: own }), type, config, credentials: {} };
  if (problems.errors.length === 0) checkDestinations(document, problems);
  if (problems.errors.length > 0)
    for (const change of changes.values()) if (change.kind === 'set') change.value.destroy();
  problems.refuse('connection');
  return { document, warnings: [], origins: new Map(), credentials: changes };
}

/** Places of secrets are by the ids of items, so that they stay when the order changes. */
function fields(document: ConnectionDocument): Field[] {
  const { type, config, credentials } = document;
  // In a schema that somebody made, a text that is called like a credential may be one.
  const known = type === 'custom' ? {} : ({ isNoSecret: true } as const);
  const texts = configTexts(schemaOf(document), config).map(({ path, text }): Field => {
    const name = path.findLast((part) => !/^\d+$/.test(part)) ?? '';
    return { pointer: `/${fieldName(path)}`, name, content: { kind: 'text', text, ...known } };
  });
  return [...credentialFields(credentials), ...texts];
}

/** Leaves room for what is added to a key that is taken. */
const maxKeyLength = 230;

/**
 * The key that comes out as OpenMetadata's name of the secret: `database-myservice-password`, `bot-name-config-jwttoken`
 * (https://docs.open-metadata.org, "Kubernetes Secrets Manager", 5). What would have the name of another gets an addition.
 */
function key(configurationName: string, field: string, { type }: ConnectionDocument): string {
  const category = connectionTypes.get(type)?.category ?? 'custom';
  return [category, configurationName, ...pathOf(field)]
    .join('-')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, maxKeyLength)
    .replace(/-+$/, '');
}
