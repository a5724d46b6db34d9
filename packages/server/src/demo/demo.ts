import { randomBytes } from 'node:crypto';
import { StrongroomError } from '@strongroom/contract';
import { accessLimits } from '../access/limits.ts';
import type { Caller, ScopeRef } from '../access/types.ts';
import type { Settings } from '../config/settings.ts';
import { principalLabel, systemActor } from '../identities/actor.ts';
import { isLoopback } from '../operation/listen-rules.ts';
import type { Services } from '../services.ts';
import { newId } from '../store/ids.ts';
import type { Store } from '../store/store.ts';
import { demoAccount, demoDomain, demoJob, demoSecrets } from './content.ts';

/**
 * - `made`: just now, or what an interrupted start had left out.
 * - `present`: made by an earlier start; what was changed or deleted since stays so.
 * - `taken`: another domain has the name; nothing was done.
 */
export type DemoOutcome = 'made' | 'present' | 'taken';

export interface DemoParts {
  readonly store: Store;
  readonly services: Pick<Services, 'access' | 'handlers'>;
}

/** Why this server gets no demo; empty when it may. Made-up credentials and a ready job are nothing for others to reach. */
export function demoProblems({ listen, behindTlsProxy, isProduction }: Settings): string[] {
  const problems: string[] = [];
  const instead = 'Leave --demo out, or start it with a STRONGROOM_LISTEN and a data folder of its own.';
  if (!isLoopback(listen.host))
    problems.push(`--demo is for this machine alone, and ${listen.host} is reachable from others. ${instead}`);
  if (behindTlsProxy)
    problems.push(`--demo is for this machine alone, and a proxy stands in front of this server. ${instead}`);
  if (isProduction) problems.push(`--demo is not for production, and NODE_ENV says so. ${instead}`);
  return problems;
}

/**
 * Makes the demo domain: secrets with values of this installation alone, a job that uses them, the first administrator as
 * OWNER. Each step looks whether it was done, the job is the last: an interrupted start is completed by the next.
 */
export async function createDemo(parts: DemoParts): Promise<DemoOutcome> {
  const { store } = parts;
  const domain = await findDemo(store);
  if (domain === 'taken') return 'taken';
  const scope = domain ?? (await createDomain(store));
  if (await hadJob(store, scope)) return 'present';
  const caller = await accountOf(parts, scope);
  const { handlers } = parts.services;
  for (const secret of demoSecrets)
    await unlessThere(async () => handlers.createDomainSecret(requestAs(caller, scope, bodyOf(secret))));
  await unlessThere(async () => handlers.createSparkJob(requestAs(caller, scope, demoJob)));
  return 'made';
}

async function findDemo(store: Store): Promise<ScopeRef | 'taken' | undefined> {
  const row = await store.db
    .selectFrom('scopes')
    .select(['id', 'name', 'created_by'])
    .where('kind', '=', 'domain')
    .where('name', '=', demoDomain.name)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  return row.created_by === systemActor.principal ? { id: row.id, kind: 'domain', name: row.name } : 'taken';
}

async function createDomain(store: Store): Promise<ScopeRef> {
  const admin = await store.db
    .selectFrom('principals')
    .select('id')
    .where('kind', '=', 'user')
    .where('created_by', '=', systemActor.principal)
    .where('deleted_at', 'is', null)
    .where('disabled_at', 'is', null)
    .executeTakeFirst();
  const { id, name } = await store.execute('domains.create', {
    actor: systemActor,
    id: newId('scope'),
    sourceId: newId('source'),
    ...demoDomain,
    ownerId: admin?.id ?? null,
  });
  return { id, kind: 'domain', name };
}

/** Also when it was deleted since. */
async function hadJob(store: Store, scope: ScopeRef): Promise<boolean> {
  const row = await store.db
    .selectFrom('configurations')
    .select('id')
    .where('scope_id', '=', scope.id)
    .where('name', '=', demoJob.name)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

async function accountOf({ store, services }: DemoParts, scope: ScopeRef): Promise<Caller> {
  const find = () =>
    store.db
      .selectFrom('principals')
      .select('id')
      .where('kind', '=', 'service-account')
      .where('scope_id', '=', scope.id)
      .where('name', '=', demoAccount.name)
      .where('deleted_at', 'is', null)
      .executeTakeFirst();
  const at = { id: scope.id, name: scope.name };
  const account = { ...demoAccount, actor: systemActor, id: newId('serviceAccount'), roles: [], scope: at };
  if ((await find()) === undefined) await store.execute('identities.createServiceAccount', account);
  const id = (await find())?.id ?? '';
  const label = principalLabel({ kind: 'service-account', name: demoAccount.name, domain: scope.name });
  await store.execute('access.putMember', {
    actor: systemActor,
    scope: at,
    principal: { id, kind: 'service-account', label, displayName: demoAccount.displayName },
    preset: 'MAINTAINER',
    mode: 'set',
    max: accessLimits.members,
  });
  const snapshot = await services.access.snapshot(id);
  if (snapshot === null) throw new StrongroomError('not_found', { detail: 'The service account of the demo is gone.' });
  const credential = { type: 'token', id: '' } as const;
  return { id, kind: 'service-account', name: label, snapshot, requestId: 'demo', network: 'local', credential };
}

/** What handlers take, on the domain's routes. */
function requestAs<const Body>(caller: Caller, scope: ScopeRef, body: Body) {
  return {
    caller,
    scope,
    params: { domain: scope.name },
    query: {},
    body,
    requestId: caller.requestId,
    network: caller.network,
    ifMatch: undefined,
    idempotency: undefined,
    signal: new AbortController().signal,
    decision: { allow: true, because: ['preset:MAINTAINER'] },
    get asset(): never {
      throw new TypeError('It is no route about one asset');
    },
  };
}

function bodyOf({ bytes, ...secret }: (typeof demoSecrets)[number]) {
  const random = (): string => randomBytes(bytes).toString('base64url');
  const { key, description, folder } = secret;
  const metadata = {
    key,
    description,
    folder,
    ...('tags' in secret ? { tags: [...secret.tags] } : {}),
    ...('rotateEveryDays' in secret ? { rotateEveryDays: secret.rotateEveryDays } : {}),
  };
  if (!('fields' in secret)) return { ...metadata, value: random() };
  return { ...metadata, fields: Object.fromEntries(secret.fields.map((field) => [field, random()])) };
}

/** An earlier start got this far; what was deleted since stays deleted. */
async function unlessThere(create: () => Promise<unknown>): Promise<void> {
  try {
    await create();
  } catch (error) {
    const isThere = error instanceof StrongroomError && ['already_exists', 'soft_deleted'].includes(error.code);
    if (!isThere) throw error;
  }
}
