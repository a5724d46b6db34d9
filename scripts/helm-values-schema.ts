// The schema of the chart's values: the server's configuration, and what is the chart's own.
import { ConfigurationSchema, settingsTable } from '../packages/server/src/config/schema.ts';

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
type Schema = { readonly [name: string]: Json };

const text = { type: 'string', minLength: 1 } as const;

/** What only the chart knows. The comments in `values.yaml` say what each is for. */
const ofChart: Readonly<Record<string, Schema>> = {
  image: closed({
    repository: text,
    tag: { type: 'string' },
    digest: { type: 'string', pattern: '^(?:sha256:[0-9a-f]{64})?$' },
    pullPolicy: { enum: ['Always', 'IfNotPresent', 'Never'] },
  }),
  imagePullSecrets: { type: 'array', items: closed({ name: text }, ['name']) },
  nameOverride: { type: 'string', maxLength: 40 },
  fullnameOverride: { type: 'string', maxLength: 40 },
  replicas: { type: 'integer', minimum: 0, maximum: 100 },
  persistence: closed({
    size: { type: 'string', pattern: '^[0-9]+(?:\\.[0-9]+)?(?:[EPTGM]i?|[Kk]i?)?$' },
    storageClassName: { type: 'string' },
    accessMode: { enum: ['ReadWriteOnce', 'ReadWriteOncePod'] },
    annotations: texts(),
  }),
  podDisruptionBudget: closed({ maxUnavailable: numberOrPercent(), minAvailable: numberOrPercent() }),
  serviceAccount: closed({
    create: { type: 'boolean' },
    name: { type: 'string' },
    annotations: texts(),
    automountToken: { type: 'boolean' },
  }),
  rbac: closed({
    create: { type: 'boolean' },
    secrets: { type: 'boolean' },
    domains: { type: 'array', items: { type: 'string', pattern: '^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$' } },
    runnerNamespaces: { type: 'array', items: { type: 'string', pattern: '^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$' } },
    workloadIdentity: { type: 'boolean' },
  }),
  service: closed({
    type: { enum: ['ClusterIP', 'NodePort', 'LoadBalancer'] },
    port: port(),
    metricsPort: port(),
    annotations: texts(),
    labels: texts(),
  }),
  ingress: closed({
    enabled: { type: 'boolean' },
    className: { type: 'string' },
    host: { type: 'string' },
    tlsSecretName: { type: 'string' },
    annotations: texts(),
  }),
  networkPolicy: closed({
    enabled: { type: 'boolean' },
    from: { type: 'array', items: { type: 'object' } },
    metricsFrom: { type: 'array', items: { type: 'object' } },
    egress: { type: 'array', items: { type: 'object' } },
  }),
  serviceMonitor: closed({
    enabled: { type: 'boolean' },
    interval: { type: 'string', pattern: '^(?:[0-9]+(?:ms|[smhd]))*$' },
    labels: texts(),
  }),
  extraEnv: {
    type: 'array',
    items: {
      type: 'object',
      required: ['name'],
      properties: { name: { type: 'string', pattern: '^[A-Za-z_][A-Za-z0-9_]*$' } },
    },
  },
  extraVolumes: { type: 'array', items: { type: 'object' } },
  extraVolumeMounts: { type: 'array', items: { type: 'object' } },
  podAnnotations: texts(),
  podLabels: texts(),
  podSecurityContext: { type: 'object' },
  securityContext: { type: 'object' },
  resources: { type: 'object' },
  startupSeconds: { type: 'integer', minimum: 10, maximum: 86_400 },
  terminationGracePeriodSeconds: { type: 'integer', minimum: 20, maximum: 3600 },
  priorityClassName: { type: 'string' },
  nodeSelector: texts(),
  tolerations: { type: 'array', items: { type: 'object' } },
  affinity: { type: 'object' },
  topologySpreadConstraints: { type: 'array', items: { type: 'object' } },
};

/** What is read from the file beside the schema's settings: OpenMetadata's block, as config/open-metadata.ts knows it. */
const ofOpenMetadata: Readonly<Record<string, Schema>> = {
  secretsManagerConfiguration: closed({
    secretsManager: { type: 'string' },
    prefix: { type: 'string' },
    tags: { type: ['string', 'array'], items: { type: 'string' } },
    parameters: closed({
      namespace: { type: 'string' },
      kubeconfigPath: { type: 'string' },
      inCluster: { type: ['string', 'boolean'] },
    }),
  }),
  clusterName: { type: 'string' },
};

/** `deploy/helm/strongroom/values.schema.json`. @throws Error when a setting has a name of the chart's own */
export function helmValuesSchema(): string {
  const settings = settingsOf(ConfigurationSchema.properties, '');
  const names = Object.keys(settings);
  const others = { ...ofOpenMetadata, ...ofChart };
  // Helm itself has `global` for charts that have charts.
  const twice = names.filter((name) => name === 'global' || Object.hasOwn(others, name));
  if (twice.length > 0) throw new Error(`The chart has values of its own called ${twice.join(', ')}, as settings are`);
  const schema = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Values of the chart strongroom',
    ...closed({ global: { type: 'object' }, ...others, ...settings }),
  };
  return `${JSON.stringify(schema, null, 1)}\n`;
}

/** `deploy/helm/strongroom/templates/_settings.tpl`: which of the values are settings of the server. */
export function helmSettingNames(): string {
  const names = [...Object.keys(ConfigurationSchema.properties), ...Object.keys(ofOpenMetadata)];
  return `{{- /* Generated by scripts/generate.ts. Do not edit. */ -}}
{{- define "strongroom.settingNames" -}}
${JSON.stringify(names)}
{{- end -}}
`;
}

interface Node {
  readonly properties?: Readonly<Record<string, object>>;
  readonly anyOf?: readonly { readonly const?: string }[];
}

const secretSettings = new Set(settingsTable.filter(({ isSecret }) => isSecret).map(({ path }) => path.join('.')));

/** Settings of a group as Helm takes them: each of them optional, and none that holds a secret. */
function settingsOf(properties: Readonly<Record<string, object>>, group: string): Record<string, Schema> {
  const found: Record<string, Schema> = {};
  for (const [name, node] of Object.entries(properties)) {
    const path = `${group}${name}`;
    const inner = (node as Node).properties;
    if (inner !== undefined) found[name] = closed(settingsOf(inner, `${path}.`));
    else if (!secretSettings.has(path)) found[name] = settingOf(node, path);
    else if (isCarriedAlong(path)) found[name] = empty;
  }
  return found;
}

function settingOf(node: Node, path: string): Schema {
  const { anyOf, ...rest } = node;
  const plain = JSON.parse(
    JSON.stringify(anyOf === undefined ? rest : { enum: anyOf.map((branch) => branch.const), ...rest }),
    // Go's regular expressions have no lookahead.
    (key, value: unknown) => (key === 'pattern' && /\(\?[!=<]/.test(String(value)) ? undefined : value),
  ) as Schema;
  const value = isFile(path) ? fileOr(plain, path) : plain;
  if (!isCarriedAlong(path)) return value;
  const { description = '', ...type } = value;
  return { description, anyOf: [type, empty] };
}

/** Values of a legacy install have what they don't need along, empty; the server passes over it. */
function isCarriedAlong(path: string): boolean {
  return /^secretStore\.[^.]+\./.test(path);
}

const empty = { const: '' } as const;

function isFile(path: string): boolean {
  return /(?:File|\.file|\.kubeconfigPath)$/.test(path);
}

/** A path, or the key of an object in the cluster that has the file. */
function fileOr(plain: Schema, path: string): Schema {
  const { description, default: byDefault, ...type } = plain;
  const key = { type: 'string', pattern: '^[-._a-zA-Z0-9]{1,253}$' };
  const isPublic = /(?:caFile|tlsCertFile)$/.test(path);
  return {
    ...(description === undefined ? {} : { description }),
    ...(byDefault === undefined ? {} : { default: byDefault }),
    anyOf: [
      type,
      closed({ secretName: text, key }, ['secretName', 'key']),
      ...(isPublic ? [closed({ configMapName: text, key }, ['configMapName', 'key'])] : []),
    ],
  };
}

function closed(properties: Readonly<Record<string, Schema>>, required: readonly string[] = []): Schema {
  const needed = required.length === 0 ? {} : { required };
  return { type: 'object', additionalProperties: false, ...needed, properties };
}

function texts(): Schema {
  return { type: 'object', additionalProperties: { type: 'string' } };
}

function port(): Schema {
  return { type: 'integer', minimum: 1, maximum: 65_535 };
}

function numberOrPercent(): Schema {
  return { type: ['integer', 'string'], minimum: 0, pattern: '^[0-9]{1,3}%$' };
}
