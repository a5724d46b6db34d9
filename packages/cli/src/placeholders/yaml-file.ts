import { launchableSurfaces, legacyForms, lineOf, looksSecret } from '@strongroom/contract/core';
import type * as YamlLibrary from 'yaml';
import type { Document, Node, Pair, Scalar, YAMLMap } from 'yaml';
import {
  type DatabricksScopes,
  type Edit,
  type FileFinding,
  type FileReading,
  findingOf,
  mayBePlainSecret,
  referenceOf,
} from './finding.ts';

type Yaml = typeof YamlLibrary;

const lists: ReadonlySet<unknown> = new Set(['environment', 'sparkConfig']);
const kinds: ReadonlySet<unknown> = new Set(launchableSurfaces);

/**
 * Reads YAML or JSON. In manifests of what is launched, `value: ${secrets.key}` of a variable or property becomes `secret:
 * REFERENCE`; all around it, comments and quotes included, stays as it is.
 * @returns `undefined` for what is neither
 */
export async function readYaml(text: string, scopes: DatabricksScopes): Promise<FileReading | undefined> {
  const yaml = await import('yaml');
  const documents = yaml.parseAllDocuments(text, { prettyErrors: false, uniqueKeys: false, version: '1.2' });
  if ('empty' in documents) return { findings: [], edits: [] };
  const findings: FileFinding[] = [];
  const edits: Edit[] = [];
  for (const document of documents) {
    if (document.errors.length > 0) return undefined;
    yaml.visit(document, {
      Scalar(place, node, path) {
        if (place === 'key' || typeof node.value !== 'string') return;
        const found = readScalar(yaml, text, document, node, path, scopes);
        findings.push(...found.findings);
        edits.push(...found.edits);
      },
    });
  }
  return { findings, edits };
}

function readScalar(
  yaml: Yaml,
  text: string,
  document: Document,
  node: Scalar,
  path: readonly (Document | Node | Pair)[],
  scopes: DatabricksScopes,
): FileReading {
  const value = String(node.value);
  const pair = path.findLast((each) => yaml.isPair(each));
  const item = path.findLast((each) => yaml.isMap(each));
  const key = pair === undefined ? undefined : keyOf(yaml, pair);
  // `{name: PGPASSWORD, value: …}` is called by its name.
  const own = key === 'value' && item !== undefined ? item.get('name') : undefined;
  const name = typeof own === 'string' ? own : key;
  const [start = 0] = node.range ?? [];
  const isBlock = node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED';
  const place = (at: number) => ({
    line: lineOf(text, start) + (isBlock ? lineOf(value, at) : lineOf(value, at) - 1),
    ...(name === undefined ? {} : { name }),
  });
  const forms = legacyForms(value);
  if (forms.length === 0) {
    const isSecret = name !== undefined && looksSecret(name) && mayBePlainSecret(name, value);
    return { findings: isSecret ? [{ ...place(0), kind: 'plain-secret', stays: 'needs-server' }] : [], edits: [] };
  }
  const isField = pair !== undefined && isFieldOfManifest(yaml, document, path, key);
  const findings: FileFinding[] = [];
  const edits: Edit[] = [];
  for (const form of forms) {
    const stays = isField ? (form.isWhole ? undefined : 'inside-text') : 'other-place';
    const finding = findingOf(form, place(form.at), scopes, stays);
    const after = referenceOf(form, scopes);
    const edit =
      finding.stays === undefined && after !== undefined && pair !== undefined
        ? editOf(yaml, text, pair, node, after)
        : undefined;
    if (edit !== undefined) edits.push(edit);
    findings.push(finding.stays === undefined && edit === undefined ? { ...finding, stays: 'unreadable' } : finding);
  }
  return { findings, edits };
}

function keyOf(yaml: Yaml, pair: Pair): string | undefined {
  return yaml.isScalar(pair.key) && typeof pair.key.value === 'string' ? pair.key.value : undefined;
}

/** `value` of an entry of `environment` or `sparkConfig`, at the top of a manifest. */
function isFieldOfManifest(
  yaml: Yaml,
  document: Document,
  path: readonly (Document | Node | Pair)[],
  key: string | undefined,
): boolean {
  const root = document.contents;
  if (key !== 'value' || !yaml.isMap(root)) return false;
  const manifest: YAMLMap = root;
  if (!kinds.has(manifest.get('kind'))) return false;
  // The document, its map, the pair of the list, the list, the entry, the pair of its value.
  const [, top, list, sequence, entry, own, more] = path;
  return (
    top === root &&
    yaml.isPair(list) &&
    lists.has(keyOf(yaml, list)) &&
    yaml.isSeq(sequence) &&
    yaml.isMap(entry) &&
    yaml.isPair(own) &&
    more === undefined
  );
}

/** From the key to the end of the value. `undefined` where the value is written in a way that is left alone. */
function editOf(yaml: Yaml, text: string, pair: Pair, node: Scalar, reference: string): Edit | undefined {
  if (!yaml.isScalar(pair.key) || !pair.key.range || !node.range || node.anchor !== undefined) return undefined;
  const [keyStart, keyEnd] = pair.key.range;
  const [start, end] = node.range;
  const written = text.slice(start, end);
  const value = String(node.value);
  const [quote = ''] = /^["']/.exec(written) ?? [];
  // What is between stays, and is on record: a comment is nobody's business.
  if (written !== `${quote}${value}${quote}` || !/^\s*:\s*$/.test(text.slice(keyEnd, start))) return undefined;
  return {
    at: keyStart,
    before: text.slice(keyStart, end),
    after: `${text.slice(keyStart, keyEnd).replace('value', 'secret')}${text.slice(keyEnd, start)}${quote}${reference}${quote}`,
  };
}
