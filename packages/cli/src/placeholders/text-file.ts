import { parseEnv } from 'node:util';
import { legacyForms, linesOf } from '@strongroom/contract/core';
import { type DatabricksScopes, type FileReading, findingOf } from './finding.ts';
import { notations, readKeyValues } from './key-values.ts';
import { readYaml } from './yaml-file.ts';

const environmentFile = /^\.env(?:\.[^/]*)?$|\.env$/;
const propertiesFile = /\.properties$/i;
const keyValueFile = /\.(?:conf|ini|cfg|toml)$/i;
const notebookFile = /\.ipynb$/i;
const yamlFile = /\.(?:ya?ml|json|ipynb)$/i;
/** Characters of a file that is read as YAML; a larger one is searched as text. */
const maxYamlLength = 1024 * 1024;

/** A word of each form, and of each name that a secret may have: a text without any is not looked at closer. */
const mayHoldAny = /pass|token|secret|credential|key|private/i;

/** What is to be found in a file, and what would stand in its place. @param name of the file, without folders */
export async function readTextFile(name: string, text: string, scopes: DatabricksScopes): Promise<FileReading> {
  if (!mayHoldAny.test(text)) return { findings: [], edits: [] };
  if (environmentFile.test(name)) return asEnvironment(text, readKeyValues(text, scopes, notations.environment));
  if (propertiesFile.test(name)) return readKeyValues(text, scopes, notations.properties);
  if (keyValueFile.test(name)) return readKeyValues(text, scopes, notations.others);
  if (yamlFile.test(name) && text.length <= maxYamlLength) {
    const read = await readYaml(text, scopes, notebookFile.test(name));
    if (read !== undefined) return read;
  }
  const lineAt = linesOf(text);
  const findings = legacyForms(text).map((form) => findingOf(form, { line: lineAt(form.at) }, scopes, 'other-place'));
  return { findings, edits: [] };
}

/**
 * With the edits only when what parses the file then reads the references as whole values, and all else as before: it has ways of
 * its own with quotes and blanks.
 */
function asEnvironment(text: string, { findings, edits }: FileReading): FileReading {
  if (edits.length === 0) return { findings, edits };
  const [before, after] = [parsed(text), parsed(withEdits(text, edits))];
  const references = new Set(edits.map((edit) => edit.after));
  if ([...after].every(([name, value]) => before.get(name) === value || references.has(value ?? '')))
    return { findings, edits };
  const left = findings.map((each) => (each.stays === undefined ? { ...each, stays: 'notation' as const } : each));
  return { findings: left, edits: [] };
}

function parsed(text: string): ReadonlyMap<string, string | undefined> {
  return new Map<string, string | undefined>(Object.entries(parseEnv(text.replace(/^\ufeff/, ''))));
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
