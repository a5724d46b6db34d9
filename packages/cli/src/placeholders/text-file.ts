import { legacyForms, lineOf } from '@strongroom/contract/core';
import { type DatabricksScopes, type FileReading, findingOf } from './finding.ts';
import { readKeyValues } from './key-values.ts';
import { readYaml } from './yaml-file.ts';

const environmentFile = /^\.env(?:\.[^/]*)?$|\.env$/;
const keyValueFile = /\.(?:properties|conf|ini|cfg|toml)$/i;
const yamlFile = /\.(?:ya?ml|json|ipynb)$/i;
/** Characters of a file that is read as YAML; a larger one is searched as text. */
const maxYamlLength = 1024 * 1024;

/** What is to be found in a file, and what would stand in its place. @param name of the file, without folders */
export async function readTextFile(name: string, text: string, scopes: DatabricksScopes): Promise<FileReading> {
  if (environmentFile.test(name)) return readKeyValues(text, scopes, true);
  if (keyValueFile.test(name)) return readKeyValues(text, scopes, false);
  if (yamlFile.test(name) && text.length <= maxYamlLength) {
    const read = await readYaml(text, scopes);
    if (read !== undefined) return read;
  }
  const findings = legacyForms(text).map((form) =>
    findingOf(form, { line: lineOf(text, form.at) }, scopes, 'other-place'),
  );
  return { findings, edits: [] };
}

/** The text after all edits. */
export function withEdits(text: string, edits: FileReading['edits']): string {
  let edited = '';
  let end = 0;
  for (const { at, before, after } of edits) {
    edited += text.slice(end, at) + after;
    end = at + before.length;
  }
  return edited + text.slice(end);
}
