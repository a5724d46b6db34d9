import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';

/** The folder of the chart. */
export const chart = fileURLToPath(new URL('../deploy/helm/strongroom', import.meta.url));

/** Values of the smallest install: the embedded store, behind something that ends TLS. */
export const behindProxy = { behindTlsProxy: true };

/** Two replicas over PostgreSQL, which have no key yet. */
export const withoutKey = {
  ...behindProxy,
  replicas: 2,
  databaseUrlFile: { secretName: 'strongroom-database', key: 'url' },
};

export const onPostgres = { ...withoutKey, kekFile: { secretName: 'strongroom-kek', key: 'kek' } };

interface KeyToPath {
  readonly key: string;
  readonly path: string;
}

/** What of a pod the tests look at, or do themselves. */
export interface PodSpec {
  readonly enableServiceLinks?: boolean;
  readonly automountServiceAccountToken?: boolean;
  readonly containers: readonly [
    {
      readonly args: readonly string[];
      readonly env: readonly { readonly name: string; readonly value: string }[];
      readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
      readonly readinessProbe: { readonly httpGet: { readonly path: string; readonly scheme: string } };
      readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
    },
  ];
  readonly volumes: readonly {
    readonly name: string;
    readonly configMap?: { readonly name: string };
    readonly projected?: {
      readonly sources: readonly {
        readonly secret?: { readonly name: string; readonly items: readonly KeyToPath[] };
        readonly configMap?: { readonly name: string; readonly items: readonly KeyToPath[] };
      }[];
    };
  }[];
}

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: object };
  readonly spec?: { readonly replicas?: number; readonly template: { readonly spec: PodSpec } };
  readonly data?: Readonly<Record<string, string>>;
  readonly rules?: unknown;
  readonly roleRef?: { readonly name: string };
}

/** Of what `helm template` prints. */
export function manifestsOf(text: string): readonly Manifest[] {
  return parseAllDocuments(text)
    .map((document): Manifest | null => document.toJS())
    .filter((manifest) => manifest !== null);
}
