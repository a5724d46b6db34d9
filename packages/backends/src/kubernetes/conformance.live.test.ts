// @needs kubernetes
import { SecretValue } from '@strongroom/crypto';
import { afterAll, beforeAll } from 'vitest';
import { type Kubernetes, startKubernetes } from '../../../../servers/kubernetes.ts';
import { checksNeeding, describeConformance } from '../../testing/conformance.ts';
import type { FaultProxy } from '../../testing/fault-proxy.ts';
import {
  type Account,
  applyRbac,
  liveFaults,
  LiveSecrets,
  objectPlace,
  scopePlace,
  testFingerprints,
} from '../../testing/live-kubernetes.ts';
import { type ConformanceContext, keyKinds, type KeyKind } from '../conformance/index.ts';
import { type ManagedKubernetesSettings, openManagedKubernetes } from './index.ts';

const namespaces = { namespace: 'strongroom', secretsNamespace: 'strongroom-secrets' };
const scope = { kind: 'domain', name: 'finance' } as const;
const fingerprints = testFingerprints();

let kubernetes: Kubernetes;
let account: Account;
let proxy: FaultProxy;
let faults: ConformanceContext['faults'];
let secrets: LiveSecrets;

beforeAll(async () => {
  kubernetes = await startKubernetes();
  // All of it runs with what `strongroom k8s rbac` prints for the server, and nothing else.
  account = (await applyRbac(kubernetes, namespaces)).server;
  ({ proxy, faults } = await liveFaults(kubernetes, { ...namespaces, token: account.token }));
  secrets = new LiveSecrets(kubernetes, namespaces.secretsNamespace);
});

afterAll(async () => {
  await proxy.close();
  await kubernetes.stop();
});

function context(settings: Partial<ManagedKubernetesSettings>): ConformanceContext {
  const namespace = namespaces.secretsNamespace;
  const kubeconfigPath = account.kubeconfig(proxy.url);
  return {
    open: () =>
      openManagedKubernetes({ namespace, kubeconfigPath, scope, fingerprints, ...settings }, { now: Date.now }),
    shapes: ['text', 'binary', 'fields'],
    ...(faults === undefined ? {} : { faults }),
    credentials: [SecretValue.fromText(account.token)],
    sizes: { abortGraceMs: 1000, checkMs: 60_000 },
  };
}

const kinds = Object.keys(keyKinds) as KeyKind[];
const never = checksNeeding('versions', 'asked versions', 'existing keys', 'place.softDelete', 'fault sealed');

describeConformance(
  'Kubernetes, an object for each key',
  () => ({
    ...context({ layout: 'object-per-secret' }),
    keyKinds: kinds.filter((kind) => kind !== 'percent'),
    ...objectPlace(secrets, { prefix: '', clusterName: 'strongroom', scope }, 'unique'),
  }),
  { expectedSkips: [...never, ...checksNeeding('list'), 'limit-of-container'] },
);

describeConformance(
  'Kubernetes, an object for each key, named as OpenMetadata does',
  () => ({
    ...context({
      layout: 'object-per-secret',
      naming: 'openmetadata',
      app: 'openmetadata',
      clusterName: 'openmetadata',
    }),
    ...objectPlace(secrets, { prefix: '', clusterName: 'openmetadata', scope }, 'openmetadata'),
  }),
  { expectedSkips: [...never, ...checksNeeding('list'), 'limit-of-container', 'names-taken'] },
);

describeConformance(
  'Kubernetes, an object for the scope',
  () => ({
    ...context({ layout: 'scope-objects', name: 'iomete' }),
    keyKinds: ['upper-case', 'underscore', 'dot', 'prototype', 'constructor', 'long'],
    ...scopePlace(secrets, 'iomete-secret-store-finance', 'secret-store/iomete/domain:finance'),
    // All keys share the object: two of the largest values don't fit.
    sizes: { abortGraceMs: 1000, checkMs: 60_000, valueBytes: 400 * 1024 },
  }),
  {
    expectedSkips: [
      ...never,
      ...checksNeeding('foreign.inPlaceOf'),
      'cas-version',
      'cas-version-of-nothing',
      'version-changes',
      'limit-refused-before-writing',
    ],
  },
);
