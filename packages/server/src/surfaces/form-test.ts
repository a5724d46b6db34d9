import { type Action, StrongroomError, type TestCause } from '@strongroom/contract';
import type { SecretValue } from '@strongroom/crypto';
import type { AccessService } from '../access/service.ts';
import type { Caller, Resource, ScopeRef } from '../access/types.ts';
import type { LaunchValues } from '../launches/launch-values.ts';
import type { PreflightResult } from '../launches/preflight.ts';
import { preflightUse } from '../launches/preflight-use.ts';
import type { ReferenceResult, Resolver } from '../launches/resolve.ts';
import { type AuthorisedWanted, collectWanted, wantedId } from '../launches/wanted.ts';
import type { Store } from '../store/store.ts';
import type { SurfaceDefinition } from './definition.ts';
import { requireDestinations } from './destinations.ts';
import { failedStep } from './network-step.ts';
import type { OwnedSecrets } from './owned-secrets.ts';
import { resourceOf } from './registry.ts';
import { findConfiguration } from './rows.ts';
import { configurationEvent } from './save.ts';
import { CredentialValues, refuseUnresolved, withResolvedTexts } from './texts.ts';
import { TypedCredentials } from './typed-credentials.ts';
import { assetOf } from './views.ts';

/** One step of a test, as it is answered. */
export interface TestStep {
  readonly name: string;
  readonly outcome: 'ok' | 'failed' | 'skipped';
  readonly cause?: TestCause;
  readonly message?: string;
}

export interface TestResult {
  readonly ok: boolean;
  readonly steps: TestStep[];
}

/** A form as it is tried. */
export interface TriedForm<Document> {
  readonly document: Document;
  /** The value of a credential field; `undefined` where it is not set. Valid until the attempt ends. */
  readonly credential: (name: string) => SecretValue | undefined;
  readonly signal: AbortSignal;
}

/** Tries something with a form; answers every outcome as steps, and throws only what is a fault of ours. */
export type Attempt<Document> = (form: TriedForm<Document>) => Promise<TestStep[]>;

export interface FormTestParts {
  readonly store: Store;
  readonly access: AccessService;
  readonly resolver: Resolver;
  readonly owned: OwnedSecrets;
}

export interface FormTestRequest<Input> {
  readonly input: Input;
  /** A saved configuration whose kept credentials may be used. */
  readonly saved?: string | undefined;
  readonly signal: AbortSignal;
}

/** For all steps of one test. */
const deadlineMilliseconds = 20_000;

/**
 * Tries forms before they are saved, by the launch's own path: decide, fetch, audit, use, drop. Nothing is kept, and no value
 * is used unless it is on record that it is tried.
 */
export class FormTester<Input, Document> {
  readonly #surface: SurfaceDefinition<Input, Document>;
  readonly #parts: FormTestParts;

  constructor(surface: SurfaceDefinition<Input, Document>, parts: FormTestParts) {
    this.#surface = surface;
    this.#parts = parts;
  }

  /**
   * @throws StrongroomError `validation_failed`; `not_found`, `permission_missing` for the configuration it names;
   * `destination_refused`; `audit_unavailable`
   */
  async test(
    caller: Caller,
    scope: ScopeRef,
    { input, saved: savedName, signal }: FormTestRequest<Input>,
    attempt: Attempt<Document>,
  ): Promise<TestResult> {
    const surface = this.#surface;
    const { store, owned } = this.#parts;
    const { document: sent, credentials: changes = new Map() } = surface.normalise(input, scope);
    const typedValues = [...changes].flatMap(([name, change]) =>
      change.kind === 'set' ? [[name, change.value] as const] : [],
    );
    const typed = new Map(typedValues);
    try {
      const saved = savedName === undefined ? null : await this.#saved(caller, scope, savedName);
      const owner = { configurationId: saved?.id ?? '', surface: surface.type, name: savedName ?? '' };
      const before = saved === null ? null : surface.parse(saved.document);
      const save = { surface, owner, document: sent, changes, before };
      const document = new TypedCredentials(owned, save).referring();
      refuseUnresolved(surface, document);
      const wanted = collectWanted(surface.fields(document), owner.configurationId).map((item): AuthorisedWanted => ({
        ...item,
        authorisers: [caller.id],
        sourceId: null,
      }));
      await requireDestinations(store, scope, wanted, surface.credentials?.destination(document) ?? null);
      const limited = AbortSignal.any([signal, AbortSignal.timeout(deadlineMilliseconds)]);
      const object = { type: surface.type, id: owner.configurationId, name: owner.name };
      const values = await this.#values(caller, scope, object, wanted, limited);
      if ('steps' in values) return values;
      const valueAt = (pointer: string, text: string) => values.get(wantedId({ pointer, text }));
      const kept = new CredentialValues(surface.fields(document), valueAt);
      const credential = (name: string): SecretValue | undefined => typed.get(name) ?? kept.get(name);
      try {
        const resolved = withResolvedTexts(surface, document, valueAt);
        const steps =
          resolved.unfit.length > 0
            ? resolved.unfit.map(({ name, message }) => failedStep(`resolve ${name}`, 'unresolved', message))
            : await attempt({ document: resolved.document, credential, signal: limited });
        return await this.#ended(caller, scope, object, steps);
      } finally {
        kept.destroy();
        values.destroy();
      }
    } finally {
      for (const value of typed.values()) value.destroy();
    }
  }

  /** Of what is saved: whether its use would get what it refers to. @throws as {@link preflightUse} */
  preflight(caller: Caller, scope: ScopeRef, name: string, signal: AbortSignal): Promise<PreflightResult> {
    return preflightUse(this.#parts, this.#surface, { caller, scope, name, signal });
  }

  /** The wanted values, with the record that they are tried; or the steps that say which didn't resolve. */
  async #values(
    caller: Caller,
    scope: ScopeRef,
    object: { readonly type: string; readonly id: string; readonly name: string },
    wanted: readonly AuthorisedWanted[],
    signal: AbortSignal,
  ): Promise<LaunchValues | TestResult> {
    const { store, resolver } = this.#parts;
    const begun = { ...configurationEvent(caller, scope, object, 'surface.test'), because: ['begin'] };
    const resolution = await resolver.resolve({
      verb: 'surface.test',
      domain: scope,
      subject: caller,
      needs: [],
      wanted,
      readsAll: true,
      signal,
      commit: (release) =>
        store.execute('launches.record', undefined, {
          audit: [begun, ...release.audit],
          ...(wanted.length === 0 ? {} : { expectAuthorisationRevision: release.revision }),
        }),
      refuse: async (release) => {
        const failed = { ...begun, because: ['unresolved'], outcome: 'failed' as const };
        await store.execute('launches.record', undefined, { audit: [failed, ...release.audit] });
      },
    });
    if (resolution.ok) return resolution.values;
    return { ok: false, steps: unresolvedSteps(resolution.results) };
  }

  async #ended(
    caller: Caller,
    scope: ScopeRef,
    object: { readonly type: string; readonly id: string; readonly name: string },
    steps: TestStep[],
  ): Promise<TestResult> {
    const failed = steps.find(({ outcome }) => outcome === 'failed');
    const event = configurationEvent(caller, scope, object, 'surface.test');
    const because = failed === undefined ? ['end'] : ['end', failed.name, failed.cause ?? 'failed'];
    const outcome = failed === undefined ? ('allowed' as const) : ('failed' as const);
    await this.#parts.store.execute('access.record', undefined, { audit: [{ ...event, because, outcome }] });
    return { ok: failed === undefined, steps };
  }

  /** What the form keeps credentials of; whoever tries with them may change it. */
  async #saved(caller: Caller, scope: ScopeRef, name: string) {
    const { store, access } = this.#parts;
    const row = await findConfiguration(store, scope.id, this.#surface.type, name);
    if (row === undefined) throw new StrongroomError('not_found');
    const resource: Resource = resourceOf(this.#surface, assetOf(row, scope));
    const action: Action = this.#surface.actions.update;
    await access.require(caller, action, resource);
    return row;
  }
}

/** What didn't resolve, each with its cause in our words. */
function unresolvedSteps(results: readonly ReferenceResult[]): TestStep[] {
  return results.map(({ name, outcome, cause }): TestStep =>
    outcome === 'resolved' || outcome === 'withheld'
      ? { name: `resolve ${name}`, outcome: 'ok' }
      : { name: `resolve ${name}`, outcome: 'failed', cause: 'unresolved', message: cause ?? outcome },
  );
}
