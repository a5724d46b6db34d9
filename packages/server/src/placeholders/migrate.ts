import { formatReference, parseText, type Reference, reservedSourceName, StrongroomError } from '@strongroom/contract';
import type { Caller, ScopeRef } from '../access/types.ts';
import type { Keys } from '../keys/keys.ts';
import type { Secrets } from '../secrets/service.ts';
import type { ChangedField } from './commands.ts';
import { type DatabricksScopes, type Finding, findingsIn, keyFor, messageOf } from './findings.ts';
import { type FindingView, judge, keyAttempts } from './judge.ts';
import { placeOf, propertyOf, type Replacement, withReplacements } from './rewrite.ts';
import {
  requireUpdateSomewhere,
  rewriteEach,
  type RewrittenConfiguration,
  type RewrittenPage,
  Rewriting,
} from './saving.ts';
import {
  type LegacyOptions,
  type LegacyPage,
  readDatabricksScopes,
  type Selected,
  selectConfigurations,
  type SelectionParts,
} from './selection.ts';

export interface MigrateOptions extends LegacyOptions {
  /** Decide everything, write nothing. */
  readonly dryRun?: boolean;
  /** Make managed secrets of plain ones. */
  readonly createSecrets?: boolean;
}

export interface MigrateParts extends SelectionParts {
  readonly keys: SelectionParts['keys'] & Pick<Keys, 'bodyHmac'>;
  readonly secrets: Pick<Secrets, 'create'>;
}

/** A field that becomes a reference. */
interface Planned {
  readonly finding: Finding & { readonly reference: Reference };
  readonly text: string;
}

/** Makes references of what is found. A request that was cut short is repeated: what was done is found no more. */
export class PlaceholderMigration {
  readonly #parts: MigrateParts;

  constructor(parts: MigrateParts) {
    this.#parts = parts;
  }

  /** @throws StrongroomError `validation_failed`, `cursor_invalid`; those of a server that can't go on */
  async migrate(
    caller: Caller,
    scope: ScopeRef,
    options: MigrateOptions,
    page: LegacyPage,
  ): Promise<RewrittenPage<FindingView>> {
    await requireUpdateSomewhere(this.#parts, caller, scope);
    const scopes = readDatabricksScopes(scope, options);
    const selection = await selectConfigurations(this.#parts, caller, scope, 'migrate', options, page);
    return rewriteEach(this.#parts, caller, selection, (current, one) =>
      this.#one(current, scope, one, scopes, options),
    );
  }

  async #one(
    current: Caller,
    scope: ScopeRef,
    selected: Selected,
    scopes: DatabricksScopes,
    { dryRun = false, createSecrets = false }: MigrateOptions,
  ): Promise<RewrittenConfiguration<FindingView>> {
    const rewriting = await Rewriting.open(this.#parts, current, scope, selected);
    const { row, surface, document } = rewriting;
    const pointers = selected.asked?.pointers;
    const found = findingsIn(surface, document, scopes).filter(
      ({ pointer }) => pointers === undefined || pointers.includes(pointer),
    );
    const { store, access } = this.#parts;
    const judged = await judge({ store, access, snapshot: current.snapshot, scope }, row.name, found);
    const texts = new Map(
      surface
        .fields(document)
        .flatMap(({ pointer, content }): [string, string][] =>
          content.kind === 'text' ? [[pointer, content.text]] : [],
        ),
    );
    const plan = judged.flatMap(({ finding }): Planned[] => {
      const { reference, pointer } = finding;
      if (reference === undefined || (finding.canBecomeSecret === true && !createSecrets)) return [];
      return [{ finding: { ...finding, reference }, text: texts.get(pointer) ?? '' }];
    });
    const views = judged.map(({ view }) => (view.createsSecret === true && !createSecrets ? notAsked(view) : view));
    const told = {
      surface: row.surface,
      configuration: row.name,
      revision: row.revision,
      ...(row.managed_by === null ? {} : { managedBy: row.managed_by }),
    };
    if (plan.length === 0) return { ...told, outcome: 'unchanged', fields: views };

    await rewriting.requireUpdate();
    const plain = plan.filter(({ finding }) => finding.canBecomeSecret === true);
    const others = plan.filter(({ finding }) => finding.canBecomeSecret !== true);
    const replacements: Replacement[] = others.map(({ finding: { pointer, reference } }) => ({ pointer, reference }));
    // On all but what isn't there yet, so that no secret is made in vain.
    await rewriting.decide(withReplacements(surface, document, replacements));
    if (plain.length > 0) await access.require(current, 'secret.manage', { kind: 'scope', scope });
    if (dryRun) return { ...told, outcome: 'would-change', fields: views };

    const changed: ChangedField[] = others.map((each) => changedField(each, each.finding.reference));
    const made = new Map<string, string>();
    for (const each of plain) {
      const reference = await this.#createSecret(current, scope, row, each);
      replacements.push({ pointer: each.finding.pointer, reference });
      changed.push(changedField(each, reference));
      made.set(each.finding.pointer, formatReference(reference));
    }
    const final = withReplacements(surface, document, replacements);
    const decided = await rewriting.decide(final);
    const revision = await rewriting.commit('placeholders.migrate', final, decided, { changed, restored: [] });
    const fields = views.map((view) => {
      const becomes = made.get(view.pointer);
      return becomes === undefined ? view : { ...view, becomes };
    });
    return { ...told, revision, outcome: 'changed', fields };
  }

  /**
   * A managed secret of a plain text. A repeat after a crash gets the very secret that was made before.
   * @throws StrongroomError `already_exists` when all of its names are taken; those of a secret's making
   */
  async #createSecret(
    current: Caller,
    scope: ScopeRef,
    { id, surface, name }: Selected['row'],
    { finding, text }: Planned,
  ): Promise<Reference> {
    const value = literalOf(text);
    const { keys, secrets } = this.#parts;
    const bodyHmac = keys.bodyHmac(Buffer.from(JSON.stringify([id, finding.pointer, value])));
    for (let attempt = 1; ; attempt += 1) {
      const key = keyFor(name, finding.name, attempt);
      const description = `Was typed into ${finding.name} of ${surface} ${name}`;
      try {
        await secrets.create(
          current,
          scope,
          { key, value, description },
          { subject: current.id, route: 'placeholders.migrate', key: `${id} ${finding.pointer} ${key}`, bodyHmac },
        );
        return { scope: scope.kind, source: reservedSourceName, key };
      } catch (error) {
        const isTaken = error instanceof StrongroomError && takenCodes.has(error.code);
        if (!isTaken || attempt === keyAttempts) throw error;
      }
    }
  }
}

const takenCodes: ReadonlySet<string> = new Set([
  'already_exists',
  'key_clash',
  'soft_deleted',
  'idempotency_mismatch',
]);

/** What a text without placeholders stands for at a launch. */
function literalOf(text: string): string {
  return parseText(text)
    .parts.map((part) => (part.kind === 'literal' ? part.text : ''))
    .join('');
}

function changedField({ finding, text }: Planned, reference: Reference): ChangedField {
  const { pointer, kind } = finding;
  if (kind === 'databricks-call' || kind === 'malformed-placeholder') throw new TypeError('It means no secret');
  return {
    ...placeOf(finding),
    property: propertyOf(pointer),
    kind,
    // What was a secret is kept nowhere but in the secret.
    text: kind === 'plain-secret' ? null : text,
    reference: formatReference(reference),
  };
}

function notAsked({ becomes: _becomes, createsSecret: _creates, ...view }: FindingView): FindingView {
  return { ...view, stays: 'not-asked', message: messageOf('not-asked') };
}
