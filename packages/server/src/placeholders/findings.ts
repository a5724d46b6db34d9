import {
  foldKey,
  legacyForms,
  type LegacyForm,
  type LegacyKind,
  linesOf,
  looksSecret,
  parseReference,
  placeholderReference,
  type Reference,
  type StayReason,
  textsOf,
} from '@strongroom/contract';
import type { AnySurface } from '../surfaces/registry.ts';
import { documentPointer, unresolvedTexts } from '../surfaces/texts.ts';

/** Something that a document holds of older ways to write secrets, or a secret itself. */
export interface Finding {
  readonly pointer: string;
  /** The variable, property or file. */
  readonly name: string;
  readonly line: number;
  readonly kind: LegacyKind;
  /** What it names; of a plain secret nothing. */
  readonly names?: string;
  /** What may stand in its place. */
  readonly reference?: Reference;
  /** A secret could be made of the text, to which a reference would then stand in its place. */
  readonly canBecomeSecret?: true;
  /** Why it stays as it is. */
  readonly stays?: StayReason;
}

/** Where the secrets of a scope of Databricks are: what stands before their key, by the scope's name. */
export type DatabricksScopes = ReadonlyMap<string, string>;

/**
 * Everything that is to be found in a document, by its spelling alone; reads no secret. In the order of the document's fields,
 * then of its other texts.
 */
export function findingsIn(surface: AnySurface, document: unknown, scopes: DatabricksScopes): Finding[] {
  const fields = surface.fields(document);
  const findings: Finding[] = [];
  const others = unresolvedTexts(surface, document);
  const unresolved = new Set(others.map(({ pointer }) => pointer));
  const resolved = new Set(textsOf(document).flatMap(({ pointer }) => (unresolved.has(pointer) ? [] : [pointer])));
  for (const { pointer, name, content } of fields) {
    if (content.kind === 'reference') continue;
    const forms = legacyForms(content.text);
    const place = { pointer, name };
    if (forms.length === 0 && content.text !== '' && content.isNoSecret !== true && looksSecret(name))
      findings.push({
        ...place,
        line: 1,
        kind: 'plain-secret',
        ...(content.canRefer === true ? { canBecomeSecret: true } : { stays: 'other-place' }),
      });
    if (!resolved.has(documentPointer(surface, document, pointer))) continue;
    const lineAt = linesOf(content.text);
    for (const form of forms)
      findings.push({
        ...place,
        ...describe(form, lineAt),
        ...(form.kind !== 'malformed-placeholder' && content.isExposed === true
          ? { stays: 'other-place' }
          : outcomeOf(form, content.canRefer, scopes)),
      });
  }
  for (const { pointer, text } of others) {
    const lineAt = linesOf(text);
    for (const form of legacyForms(text))
      findings.push({
        pointer,
        name: pointer.slice(1),
        ...describe(form, lineAt),
        stays: form.kind === 'malformed-placeholder' ? form.why : 'other-place',
      });
  }
  return findings;
}

function describe(form: LegacyForm, lineAt: (at: number) => number): Pick<Finding, 'line' | 'kind' | 'names'> {
  const { kind, at } = form;
  const line = lineAt(at);
  if (form.kind === 'placeholder') return { line, kind, names: form.key };
  if (form.kind === 'malformed-placeholder') return { line, kind };
  return form.secret === undefined ? { line, kind } : { line, kind, names: `${form.secret.scope}/${form.secret.key}` };
}

function outcomeOf(
  form: LegacyForm,
  canRefer: boolean | undefined,
  scopes: DatabricksScopes,
): Pick<Finding, 'reference' | 'stays'> {
  if (form.kind === 'malformed-placeholder') return { stays: form.why };
  if (form.kind === 'databricks-call') return { stays: 'in-code' };
  if (!form.isWhole) return { stays: 'inside-text' };
  if (canRefer !== true) return { stays: canRefer === false ? 'file-format' : 'text-only' };
  if (form.kind === 'placeholder') return { reference: placeholderReference(form.key) };
  const target = form.secret === undefined ? undefined : scopes.get(form.secret.scope);
  return target === undefined || form.secret === undefined
    ? { stays: 'scope-not-mapped' }
    : { reference: parseReference(`${target}${encodeURIComponent(form.secret.key)}`) };
}

const maxKeyLength = 200;

/** What a secret that is made of a plain text would be called: `nightly-report-pgpassword`, with a number where that is taken. */
export function keyFor(configuration: string, name: string, attempt = 1): string {
  const words = `${configuration}-${name}`.replaceAll(/[^A-Za-z0-9]+/g, '-').replaceAll(/^-+|-+$/g, '');
  const key = foldKey(words).slice(0, maxKeyLength);
  return attempt === 1 ? key : `${key}-${attempt}`;
}

const messages: Readonly<Record<StayReason, string>> = {
  'not-closed': 'It means no secret, and nothing that holds it is launched or used. Close it: ${secrets.KEY}.',
  'no-key': 'No secret can have the key, and nothing that holds it is launched or used. Write ${secrets.KEY}.',
  'inside-text': 'It is part of a longer text; placeholders there go on working. Give the secret a field of its own.',
  'other-place': 'Nothing secret is resolved here. Use an environment variable or a file.',
  'file-format': 'In a file of this format the value is escaped, which a file that is a secret as a whole is not.',
  'text-only': 'The field takes a text and no reference; a placeholder there goes on working.',
  'unknown-key': 'There is no such secret, so that a reference to it could not be saved.',
  'not-usable': 'It needs USE on the secret.',
  'key-taken': 'The names that the secret could have are taken.',
  'scope-not-mapped': 'Say where the secrets of this scope of Databricks are.',
  'in-code': 'It is code. Have the value in an environment variable and read that.',
  unreadable: 'It can not be read.',
  'not-asked': 'A secret is made of it only when that is asked for.',
};

/** Why something stays, for people. */
export function messageOf(reason: StayReason): string {
  return messages[reason];
}
