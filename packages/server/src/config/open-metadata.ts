import { splitKubernetesTags } from '@strongroom/contract';

/**
 * Settings of OpenMetadata's Kubernetes secrets manager under its own names: the block `secretsManagerConfiguration` of its
 * openmetadata.yaml as it is, and its variables (https://docs.open-metadata.org, Kubernetes Secrets Manager).
 */
const blockName = 'secretsManagerConfiguration';

interface Alias {
  /** OpenMetadata's variable. */
  readonly variable: string;
  /** Where it is in the block. */
  readonly field: readonly string[];
  /** Ours. */
  readonly path: readonly [string, string];
  readonly type: 'store' | 'string' | 'boolean' | 'tags';
}

const aliases: readonly Alias[] = [
  { variable: 'SECRET_MANAGER', field: ['secretsManager'], path: ['stores', 'default'], type: 'store' },
  { variable: 'SECRET_MANAGER_PREFIX', field: ['prefix'], path: ['kubernetes', 'prefix'], type: 'string' },
  { variable: 'SECRET_MANAGER_TAGS', field: ['tags'], path: ['kubernetes', 'tags'], type: 'tags' },
  {
    variable: 'OM_SM_NAMESPACE',
    field: ['parameters', 'namespace'],
    path: ['kubernetes', 'namespace'],
    type: 'string',
  },
  {
    variable: 'OM_SM_KUBECONFIG_PATH',
    field: ['parameters', 'kubeconfigPath'],
    path: ['kubernetes', 'kubeconfigPath'],
    type: 'string',
  },
  {
    variable: 'OM_SM_IN_CLUSTER',
    field: ['parameters', 'inCluster'],
    path: ['kubernetes', 'inCluster'],
    type: 'boolean',
  },
];

/** What an install of OpenMetadata has where its file says nothing: the names that its ingestion looks for. */
const installDefaults = { app: 'openmetadata', clusterName: 'openmetadata', naming: 'openmetadata' } as const;

/** Values of `secretsManager` that say where secrets are, in our words. */
const stores: Readonly<Record<string, string>> = { kubernetes: 'kubernetes', db: 'database' };

type Variables = Readonly<Record<string, string | undefined>>;
type Document = Record<string, unknown>;

/**
 * Takes the block, and the `clusterName` beside it, out of the file's document and puts what it says under our names. What the
 * file says under our names itself stays.
 */
export function readOpenMetadataBlock(document: Document, variables: Variables, problems: string[]): void {
  if (!Object.hasOwn(document, blockName)) return;
  const block = document[blockName];
  const clusterName = expand(document['clusterName'], variables);
  delete document[blockName];
  delete document['clusterName'];
  if (!isMapping(block)) {
    problems.push(`${blockName} in the file must be a mapping`);
    return;
  }
  for (const name of unknownFields(block)) problems.push(`${blockName}.${name} in the file is not a setting`);
  for (const alias of aliases) {
    const value = expand(fieldOf(block, alias.field), variables);
    if (value === undefined || value === null || value === '') continue;
    const read = valueOf(alias, value);
    if (read === undefined) problems.push(`${blockName}.${alias.field.join('.')} in the file is not valid`);
    else putUnlessThere(document, alias.path, read);
  }
  if (typeof clusterName === 'string' && clusterName !== '')
    putUnlessThere(document, ['kubernetes', 'clusterName'], clusterName);
  for (const [name, value] of Object.entries(installDefaults)) putUnlessThere(document, ['kubernetes', name], value);
}

/** The variables, which win over the file. @param origins of the settings, for problems; by our dotted name */
export function readOpenMetadataVariables(
  document: Document,
  variables: Variables,
  origins: Map<string, string>,
  problems: string[],
): void {
  for (const alias of aliases) {
    const raw = variables[alias.variable];
    if (raw === undefined || raw === '') continue;
    const value = valueOf(alias, raw);
    if (value === undefined) {
      problems.push(`${alias.variable} ${alias.type === 'boolean' ? 'must be true or false' : 'is not valid'}`);
      continue;
    }
    groupOf(document, alias.path[0])[alias.path[1]] = value;
    origins.set(alias.path.join('.'), alias.variable);
  }
}

function valueOf({ type }: Alias, value: unknown): unknown {
  switch (type) {
    case 'store':
      return typeof value === 'string' && Object.hasOwn(stores, value) ? stores[value] : undefined;
    case 'string':
      return typeof value === 'string' ? value : undefined;
    case 'boolean':
      return { true: true, false: false }[String(value)];
    case 'tags':
      return typeof value === 'string' ? splitKubernetesTags(value) : value;
  }
}

/** `${NAME}` and `${NAME:-default}`, as openmetadata.yaml has them; a default may be in quotes. */
function expand(value: unknown, variables: Variables): unknown {
  const found = typeof value === 'string' ? /^\$\{([A-Za-z0-9_]+)(?::-([^]*))?\}$/.exec(value) : null;
  if (found === null) return value;
  const [, name = '', byDefault = ''] = found;
  return variables[name] ?? byDefault.replace(/^(["'])([^]*)\1$/, '$2');
}

function fieldOf(block: Document, path: readonly string[]): unknown {
  let value: unknown = block;
  for (const name of path) value = isMapping(value) && Object.hasOwn(value, name) ? value[name] : undefined;
  return value;
}

function unknownFields(block: Document): string[] {
  const known = new Set(aliases.map(({ field }) => field.join('.')));
  return Object.entries(block).flatMap(([name, value]) => {
    if (name !== 'parameters' || !isMapping(value)) return known.has(name) ? [] : [name];
    return Object.keys(value)
      .map((inner) => `parameters.${inner}`)
      .filter((inner) => !known.has(inner));
  });
}

function putUnlessThere(document: Document, [group, name]: readonly [string, string], value: unknown): void {
  const settings = groupOf(document, group);
  if (!Object.hasOwn(settings, name)) settings[name] = value;
}

/** What isn't a mapping is left for the schema to refuse. */
function groupOf(document: Document, name: string): Document {
  if (!Object.hasOwn(document, name)) document[name] = {};
  const group = document[name];
  return isMapping(group) ? group : {};
}

function isMapping(value: unknown): value is Document {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
