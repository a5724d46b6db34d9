import { type keyRoutes, type ResponseOf, StrongroomError } from '@strongroom/contract';
import type { AccessService } from '../access/service.ts';
import type { Caller, ScopeRef } from '../access/types.ts';
import type { AuditEvent } from '../audit/event.ts';
import type { HandlersOf } from '../http/handler.ts';
import type { Store, Writer } from '../store/store.ts';
import type { KekSource } from './kek-source.ts';
import type { Keyring } from './keyring.ts';
import { installationScopeId } from './terms.ts';

type Status = ResponseOf<Extract<(typeof keyRoutes)[number], { readonly id: 'showKeys' }>>;

export function keyHandlers(
  store: Store,
  keyring: Keyring,
  access: Pick<AccessService, 'findScope' | 'writer'>,
  source: Pick<KekSource, 'kind' | 'rotate'>,
): HandlersOf<typeof keyRoutes> {
  const writerFor = (caller: Caller): Writer => access.writer(caller, 'keys.manage', { kind: 'platform' });
  return {
    async showKeys() {
      return { body: await status(store, keyring, source) };
    },
    async rotateKeys({ caller, body }) {
      const writer = writerFor(caller);
      if (body.what === 'kek') {
        const { db } = store;
        await source.rotate({ db, execute: writer.execute }, keyring, rotationEvent(caller, 'kek'));
      } else {
        const scopes = await scopesToRotate(store, access, caller, body);
        await rotateTerms(store, writer, keyring, caller, scopes);
      }
      return { body: await status(store, keyring, source) };
    },
    async confirmRecoveryKit({ caller, body }) {
      const { kekId } = body;
      await writerFor(caller).execute('keys.confirmRecovery', { kekId }, { audit: [confirmationEvent(caller, kekId)] });
      return { body: await status(store, keyring, source) };
    },
  };
}

async function status(store: Store, keyring: Keyring, source: Pick<KekSource, 'kind'>): Promise<Status> {
  const installation = await store.db
    .selectFrom('installation')
    .select(['id', 'recovery_confirmed_at'])
    .executeTakeFirstOrThrow();
  const names = new Map(
    (await store.db.selectFrom('scopes').select(['id', 'name']).execute()).map(({ id, name }) => [id, name]),
  );
  const terms = await store.query('keys.summary', undefined);
  return {
    installation: installation.id,
    keyEncryptionKey: { id: keyring.kek.id, source: source.kind },
    recoveryConfirmed: installation.recovery_confirmed_at !== null,
    terms: terms.map(({ scope_id, ...term }) => ({ scope: names.get(scope_id) ?? installationScopeId, ...term })),
    valuesToReseal: await store.query('keys.retiredCount', undefined),
  };
}

async function scopesToRotate(
  store: Store,
  access: Pick<AccessService, 'findScope'>,
  caller: Caller,
  body: { readonly scope?: 'admin' | 'global' | 'domain'; readonly domain?: string },
): Promise<ScopeRef[]> {
  if ((body.scope === 'domain') !== (body.domain !== undefined)) {
    throw new StrongroomError('validation_failed', {
      errors: [{ pointer: '/domain', message: 'goes with scope: domain' }],
    });
  }
  if (body.scope !== undefined) {
    const scope = await access.findScope(caller.snapshot, body.scope, body.domain ?? body.scope);
    if (scope === null) throw new StrongroomError('not_found');
    return [scope];
  }
  return store.db.selectFrom('scopes').select(['id', 'kind', 'name']).where('deleted_at', 'is', null).execute();
}

/** New values are sealed under the new terms at once; the old ones are sealed anew in the background. */
async function rotateTerms(
  store: Store,
  writer: Writer,
  keyring: Keyring,
  caller: Caller,
  scopes: readonly ScopeRef[],
): Promise<void> {
  for (const scope of scopes) {
    const hasTerm = await store.db
      .selectFrom('key_terms')
      .select('id')
      .where('scope_id', '=', scope.id)
      .where('purpose', '=', 'value')
      .executeTakeFirst();
    if (hasTerm !== undefined) await keyring.rotateValueTerm(scope.id, rotationEvent(caller, 'terms', scope), writer);
  }
}

function rotationEvent(caller: Caller, what: 'kek' | 'terms', scope?: ScopeRef): AuditEvent {
  return {
    principal: caller.id,
    principalName: caller.name,
    action: 'keys.rotate',
    outcome: 'allowed',
    requestId: caller.requestId,
    network: caller.network,
    ...(scope === undefined ? {} : { scope: { id: scope.id, name: scope.name } }),
    detail: { what },
  };
}

function confirmationEvent(caller: Caller, kekId: string): AuditEvent {
  return {
    principal: caller.id,
    principalName: caller.name,
    action: 'recovery.confirm',
    outcome: 'allowed',
    requestId: caller.requestId,
    network: caller.network,
    detail: { kekId },
  };
}
