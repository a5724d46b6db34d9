import { httpRequest } from '../../../servers/http-request.ts';
import type { Kubernetes } from '../../../servers/kubernetes.ts';

/** As much of the operator's definition as the API server needs to take one. */
export const sparkApplications = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: {
    name: 'sparkapplications.sparkoperator.k8s.io',
    annotations: { 'api-approved.kubernetes.io': 'unapproved, for tests' },
  },
  spec: {
    group: 'sparkoperator.k8s.io',
    names: { kind: 'SparkApplication', plural: 'sparkapplications', singular: 'sparkapplication' },
    scope: 'Namespaced',
    versions: [
      {
        name: 'v1beta2',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
};

/** Everything that etcd holds, a page at a time. */
export async function allStored(
  kubernetes: Pick<Kubernetes, 'etcdUrl'>,
): Promise<{ readonly key: string; readonly bytes: Buffer }[]> {
  const end = Buffer.from([0]).toString('base64');
  const stored: { key: string; bytes: Buffer }[] = [];
  for (let begin = end; ;) {
    const { body } = await httpRequest<{ kvs?: { key: string; value: string }[]; more?: boolean }>(
      `${kubernetes.etcdUrl}/v3/kv/range`,
      { method: 'POST', body: { key: begin, range_end: end, limit: 100 } },
    );
    for (const { key, value: bytes } of body.kvs ?? []) {
      stored.push({ key: Buffer.from(key, 'base64').toString(), bytes: Buffer.from(bytes, 'base64') });
      begin = Buffer.concat([Buffer.from(key, 'base64'), Buffer.from([0])]).toString('base64');
    }
    if (body.more !== true) return stored;
  }
}
