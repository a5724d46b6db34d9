import { legacyForms, looksSecret } from '@strongroom/contract/core';
import {
  type DatabricksScopes,
  type Edit,
  type FileFinding,
  type FileReading,
  findingOf,
  mayBePlainSecret,
  referenceOf,
} from './finding.ts';

/** `NAME=value`, as .env files and properties have it; blanks, `export` and quotes around the value stay as they are. */
const line = /^([^\S\n]*(?:export[^\S\n]+)?([A-Za-z_][A-Za-z0-9_.-]*)[^\S\n]*[=:][^\S\n]*)(.*)$/;
const comment = /^\s*[#;!]/;

/**
 * Reads a file of names and values, one a line.
 * @param takesReferences whether what reads it knows references: an .env file of `strongroom run`
 */
export function readKeyValues(text: string, scopes: DatabricksScopes, takesReferences: boolean): FileReading {
  const findings: FileFinding[] = [];
  const edits: Edit[] = [];
  let start = 0;
  for (const [index, whole] of text.split('\n').entries()) {
    const place = { line: index + 1 };
    const at = start;
    start += whole.length + 1;
    if (comment.test(whole)) continue;
    const [, head = '', name, rest = ''] = line.exec(whole.replace(/\r$/, '')) ?? [];
    if (name === undefined) {
      findings.push(...legacyForms(whole).map((form) => findingOf(form, place, scopes, 'other-place')));
      continue;
    }
    const { value, offset } = valueOf(rest);
    const forms = legacyForms(value);
    const named = { ...place, name };
    if (forms.length === 0 && looksSecret(name) && mayBePlainSecret(name, value))
      findings.push({ ...named, kind: 'plain-secret', stays: 'needs-server' });
    for (const form of forms) {
      const stays = takesReferences ? (form.isWhole ? undefined : 'inside-text') : 'other-place';
      const finding = findingOf(form, named, scopes, stays);
      findings.push(finding);
      const after = referenceOf(form, scopes);
      if (finding.stays === undefined && after !== undefined)
        edits.push({ at: at + head.length + offset, before: value, after });
    }
  }
  return { findings, edits };
}

/** Without the quotes around it, or the comment behind it. */
function valueOf(rest: string): { readonly value: string; readonly offset: number } {
  const [, quote, quoted] = /^(["'])(.*)\1\s*(?:#.*)?$/.exec(rest) ?? [];
  if (quote !== undefined && quoted !== undefined && !quoted.includes(quote)) return { value: quoted, offset: 1 };
  return { value: rest.replace(/\s+#.*$/, '').trimEnd(), offset: 0 };
}
