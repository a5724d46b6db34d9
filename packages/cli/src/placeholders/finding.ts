import { formatReference, type LegacyForm, parseReference, placeholderReference } from '@strongroom/contract/core';

/** What is found in a file; never a line of it. */
export interface FileFinding {
  /** From 1. */
  readonly line: number;
  /** The variable or member that holds it, where the file has such. */
  readonly name?: string;
  readonly kind: LegacyForm['kind'] | 'plain-secret';
  /** The key it names, or SCOPE/KEY of Databricks. */
  readonly names?: string;
  /** The reference that means the same, as far as it is known. */
  readonly becomes?: string;
  /** Why it is left as it is. */
  readonly stays?:
    | 'not-closed'
    | 'no-key'
    | 'inside-text'
    | 'part-of-value'
    | 'other-place'
    | 'text-only'
    | 'in-code'
    | 'scope-not-mapped'
    | 'needs-server'
    | 'notation'
    | 'encoding';
}

/** A piece of a file that is replaced by another one; neither is a secret. */
export interface Edit {
  readonly at: number;
  readonly before: string;
  readonly after: string;
}

export interface FileReading {
  readonly findings: readonly FileFinding[];
  /** In their order, none over another. */
  readonly edits: readonly Edit[];
}

/** Where the secrets of a scope of Databricks are: what stands before their key, by the scope's name. */
export type DatabricksScopes = ReadonlyMap<string, string>;

/** The reference that a form means; `undefined` where nobody said so. @throws StrongroomError `reference_malformed` */
export function referenceOf(form: LegacyForm, scopes: DatabricksScopes): string | undefined {
  if (form.kind === 'placeholder') return formatReference(placeholderReference(form.key));
  if (form.kind === 'malformed-placeholder') return undefined;
  const target = form.secret === undefined ? undefined : scopes.get(form.secret.scope);
  if (target === undefined || form.secret === undefined) return undefined;
  return formatReference(parseReference(`${target}${encodeURIComponent(form.secret.key)}`));
}

/** A form as it is told. @param stays why it is left, if so; code and unmapped scopes are left in any case */
export function findingOf(
  form: LegacyForm,
  place: Pick<FileFinding, 'line' | 'name'>,
  scopes: DatabricksScopes,
  stays?: FileFinding['stays'],
): FileFinding {
  if (form.kind === 'malformed-placeholder') return { ...place, kind: form.kind, stays: form.why };
  const names = form.kind === 'placeholder' ? form.key : form.secret && `${form.secret.scope}/${form.secret.key}`;
  const becomes = referenceOf(form, scopes);
  const reason =
    form.kind === 'databricks-call' ? 'in-code' : becomes === undefined ? (stays ?? 'scope-not-mapped') : stays;
  return {
    ...place,
    kind: form.kind,
    ...(names === undefined ? {} : { names }),
    ...(becomes === undefined ? {} : { becomes }),
    ...(reason === undefined ? {} : { stays: reason }),
  };
}

/** Members that say where a secret is, or what it is called, and hold none. */
const namesOnly = /(?:file|path|name|ref|url|uri|id)$|^(?:key|secret)$/i;

/** Whether a text under a name may be a secret: no reference to something else, and not empty. */
export function mayBePlainSecret(name: string, text: string): boolean {
  return text.trim() !== '' && !namesOnly.test(name) && !/^(?:secret:\/\/|\$|\{\{|%\{|<)/.test(text.trim());
}
