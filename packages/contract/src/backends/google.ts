import { Type, type Static } from 'typebox';
import { Closed } from '../route.ts';
import type { BackendDeclaration } from './declaration.ts';
import { serviceAccountKeyProblem } from './service-account-key.ts';

const serviceAccount = Type.String({
  maxLength: 253,
  pattern: '^[a-z0-9-]{1,63}@[a-z0-9-]{1,63}(?:\\.[a-z0-9-]{1,63}){1,6}$',
  description: 'Service account that the identity acts as; a profile names it, too',
  examples: ['strongroom@finance-prod.iam.gserviceaccount.com'],
});

const authentication = Type.Union([
  Closed({ method: Type.Literal('service-account') }, { title: 'Key of a service account' }),
  Closed(
    { method: Type.Literal('application-default'), serviceAccount: Type.Optional(serviceAccount) },
    { title: 'Identity of this server (workload identity, application default credentials), which a profile lends' },
  ),
]);

const settings = Closed({
  project: Type.String({
    pattern: '^[a-z][a-z0-9-]{4,28}[a-z0-9]$',
    description: 'Id of the project that the secrets are in',
    examples: ['finance-prod'],
  }),
  location: Type.Optional(
    Type.String({
      maxLength: 40,
      pattern: '^[a-z]{2,20}(?:-[a-z]{2,20}){1,2}[0-9]{1,2}$',
      description: 'Location of regional secrets, which have an endpoint of their own; global secrets without it',
      examples: ['europe-west3'],
    }),
  ),
  prefix: Type.Optional(
    Type.String({
      maxLength: 255,
      pattern: '^[A-Za-z0-9_-]*$',
      default: '',
      description: 'Only secrets whose names begin like this; it stays part of their names',
      examples: ['finance-'],
    }),
  ),
  labels: Type.Optional(
    Type.Array(Type.String({ maxLength: 128, pattern: '^[a-z][a-z0-9_-]{0,62}:[a-z0-9_-]{1,63}$' }), {
      maxItems: 10,
      uniqueItems: true,
      default: [],
      description:
        'Labels, each key:value, that a secret must have to be listed; reading one by its name asks for none',
      examples: [['team:finance']],
    }),
  ),
  version: Type.Optional(
    Type.String({
      pattern: '^(?:[1-9][0-9]{0,17}|[A-Za-z][A-Za-z0-9_-]{0,62})$',
      default: 'latest',
      description: 'Which version is current: latest, an alias that the secrets have, or a number',
    }),
  ),
  endpoint: Type.Optional(
    Type.String({
      maxLength: 2048,
      pattern: String.raw`^https://(?=[^/:]*[A-Za-z])[A-Za-z0-9.-]+(?::[0-9]{1,5})?/?$`,
      description: 'Another endpoint of Secret Manager than Google’s own, such as one of Private Service Connect',
      examples: ['https://secretmanager-finance.p.googleapis.com'],
    }),
  ),
  authentication,
});

/**
 * Google Secret Manager, only read. Names and limits as in
 * https://cloud.google.com/secret-manager/docs/reference/rpc/google.cloud.secretmanager.v1.
 */
export const googleBackend = {
  type: 'GOOGLE',
  title: 'Google Secret Manager',
  settings,
  credentials: {
    serviceAccountKey: {
      title: 'Key of the service account, the JSON file',
      methods: ['service-account'],
      maxBytes: 16_384,
      problem: serviceAccountKeyProblem,
    },
  },
  rebinds: ['/project', '/location', '/endpoint', '/authentication/method'],
  vendorHosts: ['secretmanager.googleapis.com', '.rep.googleapis.com', '.p.googleapis.com'],
} as const satisfies BackendDeclaration<'GOOGLE', typeof settings>;

export type GoogleSettings = Static<typeof settings>;
export type GoogleAuthentication = GoogleSettings['authentication'];
