import { Type } from 'typebox';
import { Closed, route } from '../route.ts';
import { storeNames } from '../store-names.ts';

const FeatureState = Closed({
  enabled: Type.Boolean(),
  setBy: Type.Union([Type.Literal('default'), Type.Literal('configuration'), Type.Literal('api')], {
    description: 'What is set in the configuration cannot be changed through the API',
  }),
});

/** Limits in force; each is named in the error that refuses what exceeds it. */
const Limits = Closed({
  valueBytes: Type.Integer({ description: 'Bytes of one value in the database store' }),
  keysPerScope: Type.Integer({ description: 'Secrets of one scope' }),
  secretVersions: Type.Integer({ description: 'Versions kept of one secret' }),
  deletedRetentionDays: Type.Integer({ description: 'Days a deleted secret can be restored' }),
  concurrentRuns: Type.Integer({ description: 'Runs at once on one server' }),
  launchesPerMinute: Type.Integer({ description: 'Launches a minute and domain' }),
  requestsPerMinute: Type.Integer({ description: 'Requests a minute and principal, or network when not signed in' }),
  bodyBytes: Type.Integer({ description: 'Bytes of a request body, where the route names no other limit' }),
  connections: Type.Integer({ description: 'Open connections' }),
  runLogBytes: Type.Integer({ description: 'Bytes kept of one run’s log' }),
  runLogsTotalBytes: Type.Integer({ description: 'Bytes kept of all runs’ logs' }),
  runLogRetentionDays: Type.Integer({ description: 'Days a run’s log is kept' }),
  launchRetentionDays: Type.Integer({
    description: 'Days that launches are kept after their end, with their receipts and runs',
  }),
});

const StoreState = Closed({
  store: Type.Enum([...storeNames]),
  setBy: Type.Union([Type.Literal('default'), Type.Literal('configuration'), Type.Literal('api')]),
});

const Settings = Closed({
  version: Type.String(),
  features: Closed({ secretsV2: FeatureState }),
  limits: Limits,
  runner: Type.Union([Type.Literal('process'), Type.Literal('none')]),
  managedStores: Closed(
    { admin: StoreState, global: StoreState, domains: StoreState },
    { description: 'Where values are: of the admin scope, of the global one, and of new domains that choose nothing' },
  ),
  store: Type.Union([Type.Literal('sqlite'), Type.Literal('postgres')]),
});

const DoctorCheck = Closed({
  id: Type.String({ description: 'Stable name of the check' }),
  title: Type.String(),
  status: Type.Union([Type.Literal('ok'), Type.Literal('amber'), Type.Literal('red')]),
  finding: Type.String({ description: 'What was found' }),
  hint: Type.Optional(Type.String({ description: 'What to do about it' })),
});

const DoctorReport = Closed({
  status: Type.Union([Type.Literal('ok'), Type.Literal('amber'), Type.Literal('red')], {
    description: 'The worst of the checks',
  }),
  checks: Type.Array(DoctorCheck),
});

export const operationRoutes = [
  route({
    id: 'checkHealth',
    method: 'GET',
    path: '/healthz',
    summary: 'Say that the process answers',
    tag: 'operation',
    access: { kind: 'public', reason: 'probes have no credential, and it says nothing' },
    status: 200,
    response: Closed({ status: Type.Literal('ok') }),
    rateLimitPerMinute: Infinity,
  }),
  route({
    id: 'checkReadiness',
    method: 'GET',
    path: '/readyz',
    summary: 'Say whether the server can do its work; names each dependency that is missing',
    tag: 'operation',
    access: { kind: 'public', reason: 'probes have no credential; it names kinds of dependencies only' },
    status: 200,
    response: Closed({
      status: Type.Literal('ready'),
      dependencies: Type.Array(Closed({ name: Type.String(), status: Type.Literal('ok') })),
    }),
    errors: ['not_ready'],
    rateLimitPerMinute: Infinity,
  }),
  route({
    id: 'showMetrics',
    method: 'GET',
    path: '/metrics',
    summary: 'Metrics in the text format of Prometheus',
    tag: 'operation',
    access: { kind: 'platform', action: 'metrics.read' },
    status: 200,
    raw: { mediaType: 'text/plain; version=0.0.4; charset=utf-8', description: 'Prometheus exposition format' },
  }),
  route({
    id: 'showOpenapiDocument',
    method: 'GET',
    path: '/v1/openapi.json',
    summary: 'This API as an OpenAPI 3.1 document',
    tag: 'operation',
    access: { kind: 'public', reason: 'the document is part of the published program' },
    status: 200,
    raw: { mediaType: 'application/json', description: 'An OpenAPI 3.1 document' },
  }),
  route({
    id: 'showSettings',
    method: 'GET',
    path: '/v1/settings',
    summary: 'Show feature flags, limits and version',
    tag: 'operation',
    access: { kind: 'authenticated', reason: 'everybody needs to know which features and limits there are' },
    status: 200,
    response: Settings,
  }),
  route({
    id: 'updateSettings',
    method: 'PATCH',
    path: '/v1/settings',
    summary: 'Turn a feature on or off, or choose the store of a scope without secrets, unless the configuration does',
    tag: 'operation',
    access: { kind: 'platform', action: 'settings.manage' },
    body: Closed(
      {
        features: Type.Optional(Closed({ secretsV2: Closed({ enabled: Type.Boolean() }) })),
        managedStores: Type.Optional(
          Closed(
            {
              admin: Type.Optional(Type.Enum([...storeNames])),
              global: Type.Optional(Type.Enum([...storeNames])),
            },
            { minProperties: 1 },
          ),
        ),
      },
      { minProperties: 1 },
    ),
    query: Closed({
      force: Type.Optional(
        Type.Boolean({ description: 'Turn secretsV2 off although configurations hold references, which then fail' }),
      ),
    }),
    status: 200,
    response: Settings,
    ifMatch: true,
    errors: ['state_conflict', 'version_conflict', 'in_use'],
  }),
  route({
    id: 'runDoctor',
    method: 'GET',
    path: '/v1/doctor',
    summary: 'Check the installation and say what to mend',
    tag: 'operation',
    access: { kind: 'platform', action: 'settings.manage' },
    status: 200,
    response: DoctorReport,
  }),
] as const;
