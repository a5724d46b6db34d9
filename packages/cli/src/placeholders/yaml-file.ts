import {
  type ConfigSchema,
  connectionTypes,
  type FormName,
  hasPlaceholder,
  launchableSurfaces,
  legacyForms,
  linesOf,
  looksSecret,
  unresolvedConfigReason,
  unresolvedFields,
  unresolvedReason,
} from '@strongroom/contract/core';
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

const launchable: ReadonlySet<unknown> = new Set(launchableSurfaces);
const aVariable = /^\/(?:environment|sparkConfig)\/\d+\/value$/;
/** Credential fields of what is not launched, by what is sent of one. */
const credentials: Readonly<Record<string, RegExp>> = {
  'storage-config': /^\/(?:accessKey|secretKey)\/(?:value|set)$/,
  connection: /^\/config\/.+\/(?:value|set)$/,
  email: /^\/password\/(?:value|set)$/,
  ldap: /^\/bindCredential\/(?:value|set)$/,
};

/**
 * Reads YAML or JSON. In manifests, `value: ${secrets.key}` of a variable, a property or a credential becomes `secret: REFERENCE`;
 * all around it, comments and quotes included, stays as it is.
 * @param isNotebook whether lines of code are the items of a list: a call may go over several
 * @returns `undefined` for what is neither
 */
export async function readYaml(
  text: string,
  scopes: DatabricksScopes,
  isNotebook = false,
): Promise<FileReading | undefined> {
  const yaml = await import('yaml');
  const lines = new yaml.LineCounter();
  const documents = yaml.parseAllDocuments(text, {
    prettyErrors: false,
    uniqueKeys: false,
    version: '1.2',
    lineCounter: lines,
  });
  if ('empty' in documents) return { findings: [], edits: [] };
  const findings: FileFinding[] = [];
  const edits: Edit[] = [];
  const scalars: [start: number, end: number][] = [];
  for (const document of documents) {
    if (document.errors.length > 0) return undefined;
    const file: YamlFile = { yaml, text, document, lineAt: (at) => lines.linePos(at).line, scopes };
    yaml.visit(document, {
      Scalar(place, node, path) {
        if (node.range) scalars.push([node.range[0], node.range[1]]);
        if (typeof node.value !== 'string') return;
        const found = place === 'key' ? readKey(file, node) : readScalar(file, node, path);
        findings.push(...found.findings);
        edits.push(...found.edits);
      },
      Seq(_place, node, path) {
        const pair = path.at(-1);
        if (!isNotebook || !yaml.isPair(pair) || keyOf(yaml, pair) !== 'source') return undefined;
        const source = node.items.flatMap((each) =>
          yaml.isScalar(each) && typeof each.value === 'string' ? [each] : [],
        );
        if (source.length < node.items.length) return undefined;
        if (node.range) scalars.push([node.range[0], node.range[1]]);
        findings.push(...readSource(file, source));
        return yaml.visit.SKIP;
      },
    });
  }
  findings.push(...unquotedTemplates(text, scalars, scopes, (at) => lines.linePos(at).line));
  return { findings: findings.toSorted((one, other) => one.line - other.line), edits };
}

interface YamlFile {
  readonly yaml: Yaml;
  readonly text: string;
  readonly document: Document;
  readonly lineAt: (at: number) => number;
  readonly scopes: DatabricksScopes;
}

/** A name takes no reference. */
function readKey({ lineAt, scopes }: YamlFile, node: Scalar): FileReading {
  const line = lineAt(node.range?.[0] ?? 0);
  const forms = legacyForms(String(node.value));
  return { findings: forms.map((form) => findingOf(form, { line }, scopes, 'other-place')), edits: [] };
}

/** The code of a cell, whose lines are items of a list. */
function readSource({ lineAt, scopes }: YamlFile, source: readonly Scalar[]): FileFinding[] {
  const starts: number[] = [];
  let code = '';
  for (const each of source) {
    starts.push(code.length);
    code += String(each.value);
  }
  return legacyForms(code).map((form) => {
    const item = source[starts.findLastIndex((start) => start <= form.at)];
    return findingOf(form, { name: 'source', line: lineAt(item?.range?.[0] ?? 0) }, scopes, 'other-place');
  });
}

/** What is looked at of a line to tell a comment. */
const maxLineLength = 4096;

/** `x: {{secrets/SCOPE/KEY}}` without quotes is a map in a map, and no text of the file. */
function unquotedTemplates(
  text: string,
  scalars: readonly (readonly [start: number, end: number])[],
  scopes: DatabricksScopes,
  lineAt: (at: number) => number,
): FileFinding[] {
  // Both in their order.
  let next = 0;
  return legacyForms(text).flatMap((form) => {
    if (form.kind !== 'databricks-template') return [];
    while ((scalars[next]?.[1] ?? Infinity) <= form.at) next += 1;
    const isText = (scalars[next]?.[0] ?? Infinity) <= form.at;
    const line = text.slice(Math.max(text.lastIndexOf('\n', form.at) + 1, form.at - maxLineLength), form.at);
    if (isText || /(?:^|\s)#/.test(line)) return [];
    return [findingOf(form, { line: lineAt(form.at) }, scopes, 'other-place')];
  });
}

function readScalar(
  { yaml, text, document, lineAt, scopes }: YamlFile,
  node: Scalar,
  path: readonly (Document | Node | Pair)[],
): FileReading {
  const value = String(node.value);
  const pair = path.findLast((each) => yaml.isPair(each));
  const item = path.findLast((each) => yaml.isMap(each));
  const key = pair === undefined ? undefined : keyOf(yaml, pair);
  // `{name: PGPASSWORD, value: …}` is called by its name.
  const own = key === 'value' && item !== undefined ? item.get('name') : undefined;
  const name = typeof own === 'string' ? own : key;
  const [start = 0, end = start] = node.range ?? [];
  const isBlock = node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED';
  const firstLine = lineAt(start);
  const lineIn = linesOf(value);
  const place = (at: number) => ({
    // A line break that is written as an escape is none of the file.
    line: isBlock ? firstLine + lineIn(at) : Math.min(firstLine + lineIn(at) - 1, lineAt(end)),
    ...(name === undefined ? {} : { name }),
  });
  const forms = legacyForms(value);
  if (forms.length === 0) {
    const isSecret = name !== undefined && !hasPlaceholder(name) && looksSecret(name) && mayBePlainSecret(name, value);
    return { findings: isSecret ? [{ ...place(0), kind: 'plain-secret', stays: 'needs-server' }] : [], edits: [] };
  }
  const standing = placeInManifest(yaml, document, path, node);
  const findings: FileFinding[] = [];
  const edits: Edit[] = [];
  for (const form of forms) {
    const stays = standing === 'field' ? (form.isWhole ? undefined : 'inside-text') : standing;
    const finding = findingOf(form, place(form.at), scopes, stays);
    const after = referenceOf(form, scopes);
    const edit =
      finding.stays === undefined && after !== undefined && pair !== undefined
        ? editOf(yaml, text, pair, node, after)
        : undefined;
    if (edit !== undefined) edits.push(edit);
    findings.push(finding.stays === undefined && edit === undefined ? { ...finding, stays: 'notation' } : finding);
  }
  return { findings, edits };
}

function keyOf(yaml: Yaml, pair: Pair): string | undefined {
  return yaml.isScalar(pair.key) && typeof pair.key.value === 'string' ? pair.key.value : undefined;
}

/** Where a text of a manifest is: a field that takes a reference, a text in which placeholders work, or neither. */
function placeInManifest(
  yaml: Yaml,
  document: Document,
  path: readonly (Document | Node | Pair)[],
  node: Scalar,
): 'field' | 'text-only' | 'other-place' {
  const root = document.contents;
  if (!yaml.isMap(root)) return 'other-place';
  const kind = root.get('kind');
  if (typeof kind !== 'string' || !isForm(kind)) return 'other-place';
  const pointer = pointerOf(yaml, [...path, node]);
  if (launchable.has(kind) && aVariable.test(pointer)) return 'field';
  // One part of a credential alone: with another one it is no credential.
  const around = path.findLast((each) => yaml.isMap(each));
  if (credentials[kind]?.test(pointer) === true && around?.items.length === 1) return 'field';
  const isResolved =
    kind === 'connection' && pointer.startsWith('/config/')
      ? isResolvedInConfig(root, pointer)
      : unresolvedReason(kind, pointer) === undefined;
  return isResolved && !aside.has(pointer) ? 'text-only' : 'other-place';
}

/** The same of a text in the config of a connection, which its schema says. */
function isResolvedInConfig(manifest: YAMLMap, pointer: string): boolean {
  const { type, schema } = manifest.toJSON() as { readonly type?: unknown; readonly schema?: ConfigSchema };
  const whole = type === 'custom' ? schema : connectionTypes.get(String(type))?.schema;
  const names = pointer.split('/').slice(2);
  const part = names.reduce<ConfigSchema | undefined>((each, name) => each?.properties?.[name] ?? each?.items, whole);
  return part !== undefined && unresolvedConfigReason(part, names.at(-1) === 'id') === undefined;
}

/** Of a manifest, and of no configuration. */
const aside: ReadonlySet<string> = new Set(['/kind', '/domain']);

function isForm(kind: string): kind is FormName {
  return kind !== 'notices' && Object.hasOwn(unresolvedFields, kind);
}

/** RFC 6901, from the nodes that lead to one. */
function pointerOf(yaml: Yaml, path: readonly (Document | Node | Pair)[]): string {
  return path
    .flatMap((each, index) => {
      if (yaml.isPair(each)) return [`/${keyOf(yaml, each) ?? ''}`];
      const parent: unknown = path[index - 1];
      return yaml.isSeq(parent) ? [`/${parent.items.indexOf(each)}`] : [];
    })
    .join('');
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
    after: `${text.slice(keyStart, keyEnd).replace(/value|set/, 'secret')}${text.slice(keyEnd, start)}${quote}${reference}${quote}`,
  };
}
