import { StrongroomError } from '@strongroom/contract';
import type { CheckLine } from '@strongroom/backends';
import { SecretValue } from '@strongroom/crypto';
import type { AccessService } from '../access/service.ts';
import type { AssetRef, Caller, ScopeRef } from '../access/types.ts';
import type { Store } from '../store/store.ts';
import { reboundPointers } from './bound-settings.ts';
import {
  checkAddresses,
  type ConnectionInput,
  declarationOf,
  type OpenEgress,
  readCredentials,
  storedSettings,
} from './connection.ts';
import type { CredentialOwner, IntegrationCredentials } from './credentials.ts';
import { integrationEvent, type NamedIntegration } from './events.ts';
import type { OpenedBackends } from './opened-backends.ts';
import { chooseProfile } from './profiles/bound-profile.ts';
import type { TestView } from './views.ts';

export interface FormInput extends ConnectionInput {
  /** A saved one, whose credentials are used where nothing was typed. */
  readonly integration?: string;
}

export interface TesterParts {
  readonly store: Store;
  readonly access: AccessService;
  readonly credentials: IntegrationCredentials;
  readonly backends: OpenedBackends;
  readonly egress: OpenEgress;
}

/** For all steps of one test. */
const deadlineMilliseconds = 20_000;

/** Tries connections. Every try is recorded before anything is connected, and again with its outcome. */
export class IntegrationTester {
  readonly #parts: TesterParts;

  constructor(parts: TesterParts) {
    this.#parts = parts;
  }

  /**
   * Tries a form before it is saved; keeps nothing of it.
   * @throws StrongroomError `validation_failed`, `egress_denied`; `not_found`, `permission_missing` for the integration it names
   */
  async testForm(caller: Caller, scope: ScopeRef, form: FormInput, signal: AbortSignal): Promise<TestView> {
    const saved = form.integration === undefined ? null : await this.#saved(caller, scope, form.integration, form.type);
    const declaration = declarationOf(form.type);
    const rebound = saved === null ? [] : reboundPointers(declaration, saved.settings, form.settings);
    const given = readCredentials(form, saved?.credentials ?? new Set(), rebound);
    await checkAddresses(this.#parts.egress, form.settings, declaration.vendorHosts);
    const owner = { id: saved?.id ?? '', scopeId: scope.id, type: form.type, settings: form.settings };
    const profile = await chooseProfile(this.#parts.store, owner, form.profile ?? null);
    const credential = async (name: string): Promise<SecretValue> => {
      const typed = given.get(name);
      return typed === undefined ? this.#parts.credentials.open(owner, name) : SecretValue.fromText(typed);
    };
    const object = { id: saved?.id ?? '', name: form.integration ?? '' };
    return this.#recorded(caller, scope, object, form.type, async () => {
      const backend = await this.#parts.backends.openWith(form.type, form.settings, credential, profile);
      try {
        return await backend.check({ signal: limited(signal) });
      } finally {
        await backend.close();
      }
    });
  }

  /** Tries a saved integration; the outcome becomes its health. @throws StrongroomError `not_found` */
  async test(caller: Caller, asset: AssetRef, signal: AbortSignal): Promise<TestView> {
    const { backend, row } = await this.#parts.backends.openAt(asset.id);
    const result = await this.#recorded(caller, asset.scope, row, row.type, () =>
      backend.check({ signal: limited(signal) }),
    );
    const failed = result.lines.find(({ outcome }) => outcome === 'failed');
    await this.#parts.store.execute('integration.checked', {
      id: row.id,
      revision: row.revision,
      failure: failed === undefined ? null : { code: failed.code ?? 'backend_unavailable', message: failed.message },
    });
    return result;
  }

  /** Nothing is connected unless it is on record that it is tried. */
  async #recorded(
    caller: Caller,
    scope: ScopeRef,
    object: NamedIntegration,
    type: string,
    check: () => Promise<readonly CheckLine[]>,
  ): Promise<TestView> {
    const { store } = this.#parts;
    const begun = integrationEvent(caller, scope, 'integration.test', object, ['begin'], { type });
    await store.execute('access.record', undefined, { audit: [begun] });
    const lines = await check();
    const failed = lines.find(({ outcome }) => outcome === 'failed');
    const ended = integrationEvent(
      caller,
      scope,
      'integration.test',
      object,
      failed === undefined ? ['end'] : ['end', failed.step, ...(failed.code === undefined ? [] : [failed.code])],
      { type },
    );
    await store.execute('access.record', undefined, {
      audit: [{ ...ended, outcome: failed === undefined ? 'allowed' : 'failed' }],
    });
    return { ok: failed === undefined, lines: lines.map((line) => ({ ...line })) };
  }

  async #saved(
    caller: Caller,
    scope: ScopeRef,
    name: string,
    type: string,
  ): Promise<CredentialOwner & { readonly credentials: ReadonlySet<string> }> {
    const { store, access } = this.#parts;
    const asset = await access.configurationAsset(scope, 'integration', name);
    if (asset === null) throw new StrongroomError('not_found');
    await access.require(caller, 'integration.update', { kind: 'asset', asset });
    const row = await store.db
      .selectFrom('integrations')
      .select(['id', 'scope_id', 'type', 'settings'])
      .where('id', '=', asset.id)
      .executeTakeFirst();
    if (row === undefined) throw new StrongroomError('not_found');
    if (row.type !== type)
      throw new StrongroomError('validation_failed', {
        errors: [{ pointer: '/type', message: 'is not the kind of the integration that is named' }],
      });
    const kept = (await this.#parts.credentials.list([row.id])).get(row.id) ?? [];
    return {
      id: row.id,
      scopeId: row.scope_id,
      type: row.type,
      settings: storedSettings(row.settings),
      credentials: new Set(kept.map((credential) => credential.name)),
    };
  }
}

function limited(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(deadlineMilliseconds)]);
}
