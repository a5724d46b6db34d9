import { Type } from 'typebox';
import { Id, Label, Time } from '../names.ts';
import { Closed, route } from '../route.ts';
import { namespacePattern } from './clusters.ts';

const subject = {
  cluster: Label,
  namespace: Type.String({ pattern: namespacePattern, description: 'One that belongs to the domain' }),
  serviceAccount: Type.String({
    maxLength: 253,
    pattern: '^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$',
    description: 'ServiceAccount of the pods',
  }),
  uid: Type.String({
    pattern: '^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$',
    description: 'Of that ServiceAccount: one of the same name that is made later is another one',
  }),
};

const Workload = Closed(
  { id: Id, ...subject, namespace: Type.String(), createdAt: Time, createdBy: Type.String() },
  { description: 'Pods of Kubernetes that act as a service account of the domain, by their projected tokens' },
);

const accountParams = Closed({ domain: Label, serviceAccount: Id });
const manage = { kind: 'scope', action: 'access.manage' } as const;
const base = '/v1/domains/{domain}/service-accounts/{serviceAccount}/workloads';

export const workloadRoutes = [
  route({
    id: 'bindWorkload',
    method: 'POST',
    path: base,
    summary: 'Let pods of a ServiceAccount in Kubernetes act as the service account',
    tag: 'identities',
    access: manage,
    params: accountParams,
    body: Closed(subject),
    status: 201,
    response: Workload,
    idempotent: true,
    errors: ['not_found', 'already_exists', 'limit_exceeded', 'state_conflict'],
  }),
  route({
    id: 'listWorkloads',
    method: 'GET',
    path: base,
    summary: 'What in Kubernetes acts as the service account',
    tag: 'identities',
    access: manage,
    params: accountParams,
    status: 200,
    response: Closed({ items: Type.Array(Workload) }),
    errors: ['not_found'],
  }),
  route({
    id: 'unbindWorkload',
    method: 'DELETE',
    path: `${base}/{workload}`,
    summary: 'End it: the next call of those pods is refused',
    tag: 'identities',
    access: manage,
    params: Closed({ domain: Label, serviceAccount: Id, workload: Id }),
    status: 204,
    errors: ['not_found'],
  }),
] as const;
