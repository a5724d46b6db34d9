import { foldKey, maxFieldLength, secretKeyPattern, StrongroomError } from '@strongroom/contract';
import { parse as parseJson } from 'lossless-json';
import { parseEnv } from 'node:util';
import { readYamlDocuments, type YamlProblem } from '../bounded-yaml.ts';
import type { ValueInput } from './values.ts';

export type ImportFormat = 'env' | 'json' | 'kubernetes';

/** One entry of a file: a key and its value, or why it can't be taken. */
export type ImportEntry =
  | { readonly key: string; readonly input: ValueInput; readonly refusal?: undefined }
  | { readonly key: string; readonly refusal: string };

/** Entries of one import. */
export const maxEntries = 1000;
const secretKey = new RegExp(secretKeyPattern);

/**
 * Reads a file of secrets. Every entry is judged before anything is written.
 *
 * - `env`: `NAME=value` lines as Node's `util.parseEnv` reads them; a line it would skip silently is an error here.
 * - `json`: one object; a text is a value, an object of texts a multi-field value.
 * - `kubernetes`: one or more `v1` `Secret` manifests in YAML; `data` in base64, `stringData` as text (which wins, as in
 *   Kubernetes).
 *
 * @throws StrongroomError `validation_failed` naming the line; never its content.
 */
export function readImport(format: ImportFormat, content: string, prefix: string): ImportEntry[] {
  const entries = readers[format](content).map((entry) => ({ ...entry, key: `${prefix}${entry.key}` }));
  if (entries.length === 0) throw invalid('the file holds no secret');
  if (entries.length > maxEntries)
    throw new StrongroomError('limit_exceeded', {
      detail: `The file holds more than ${maxEntries} secrets.`,
      hint: 'Split the file.',
    });
  return judgeAll(entries);
}

type Refused = { readonly key: string; readonly refusal: string };

interface Judged {
  readonly key: string;
  /** What the key was made from, where it had another name. */
  readonly from?: string | undefined;
  readonly refusal?: string | undefined;
}

/** Refuses what is no key, and a key that is there twice after folding. */
export function judgeAll<Entry extends Judged>(entries: readonly Entry[]): (Entry | Refused)[] {
  const seen = new Map<string, Entry>();
  return entries.map((entry) => {
    const other = seen.get(foldKey(entry.key));
    seen.set(foldKey(entry.key), entry);
    return other === undefined ? judge(entry) : { key: entry.key, refusal: clash(entry, other) };
  });
}

function clash(entry: Judged, other: Judged): string {
  return entry.from === undefined || other.from === undefined
    ? `${other.key} is there as well, and keys are unique after case folding`
    : `${other.from} and ${entry.from} would be one key, and keys are unique after case folding`;
}

function judge<Entry extends Judged>(entry: Entry): Entry | Refused {
  if (entry.refusal !== undefined || secretKey.test(entry.key)) return entry;
  return {
    key: entry.key.slice(0, maxFieldLength),
    refusal: 'not a key: 1 to 253 letters, digits, dots, underscores and hyphens, beginning with a letter or digit',
  };
}

const readers: Readonly<Record<ImportFormat, (content: string) => ImportEntry[]>> = {
  env: readEnv,
  json: readJson,
  kubernetes: readKubernetes,
};

function readEnv(content: string): ImportEntry[] {
  const names = checkEnvLines(content);
  const values = parseEnv(content);
  return names.map((key) => ({ key, input: { value: values[key] ?? '' } }));
}

/**
 * parseEnv skips lines it does not understand, lets the last of two equal names win, cuts a value at a `#` and drops what
 * follows a closing quote; none of that may happen to a secret. Returns the names in the order of the file.
 */
function checkEnvLines(content: string): string[] {
  const names = new Set<string>();
  let openQuote: string | undefined;
  for (const [index, line] of content.split(/\r?\n/).entries()) {
    const text = line.trim();
    if (openQuote !== undefined) {
      const end = line.indexOf(openQuote);
      if (end !== -1 && !isOnlyComment(line.slice(end + 1)))
        throw invalid(`line ${index + 1} goes on after its closing quote`);
      if (end !== -1) openQuote = undefined;
      continue;
    }
    if (text === '' || text.startsWith('#')) continue;
    const match = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=\s*(.*)$/.exec(text);
    const [, name = '', rest = ''] = match ?? [];
    if (match === null) throw invalid(`line ${index + 1} is not NAME=value`);
    if (names.has(name)) throw invalid(`line ${index + 1} sets a name that an earlier line sets`);
    names.add(name);
    openQuote = quoteLeftOpen(rest, index + 1);
  }
  if (openQuote !== undefined) throw invalid('the last quoted value is not closed');
  return [...names];
}

function quoteLeftOpen(rest: string, line: number): string | undefined {
  const quote = rest[0];
  if (quote === undefined || !`"'\``.includes(quote)) {
    if (rest.includes('#')) throw invalid(`line ${line} has a # in its value; put the value in quotes`);
    return undefined;
  }
  const end = rest.indexOf(quote, 1);
  if (end === -1) return quote;
  if (!isOnlyComment(rest.slice(end + 1))) throw invalid(`line ${line} goes on after its closing quote`);
  return undefined;
}

function isOnlyComment(text: string): boolean {
  return /^\s*(?:#.*)?$/.test(text);
}

function readJson(content: string): ImportEntry[] {
  let document: unknown;
  try {
    document = parseJson(content);
  } catch {
    // The parser's message quotes its input.
    throw invalid('not one JSON document without duplicate keys');
  }
  if (!isRecord(document)) throw invalid('not a JSON object');
  return Object.entries(document).map(([key, value]) => {
    if (typeof value === 'string') return { key, input: { value } };
    if (isRecord(value) && Object.values(value).every((field) => typeof field === 'string')) {
      return { key, input: { fields: value as Record<string, string> } };
    }
    return { key, refusal: 'not a text or an object of texts' };
  });
}

/** Several times those of the most entries that an import takes. */
const maxManifestMarks = 50_000;

const manifestProblems: Readonly<Record<YamlProblem['kind'], (line: number) => string>> = {
  'too-large': () => 'the YAML has more parts than a manifest of so many secrets; it is larger than is looked at',
  malformed: (line) => `the YAML has an error in line ${line}`,
  nested: () => 'the YAML is nested too deeply',
};

function readKubernetes(content: string): ImportEntry[] {
  const documents = readYamlDocuments(content, { maxMarks: maxManifestMarks, schema: 'core' });
  if ('kind' in documents) throw invalid(manifestProblems[documents.kind](documents.line));
  const entries: ImportEntry[] = [];
  for (const document of documents) {
    let manifest: unknown;
    try {
      manifest = document.toJS({ maxAliasCount: 0 });
    } catch {
      throw invalid('the YAML has aliases');
    }
    if (manifest === null) continue;
    if (!isRecord(manifest) || manifest['kind'] !== 'Secret' || manifest['apiVersion'] !== 'v1')
      throw invalid('a document is not a v1 Secret');
    entries.push(...manifestEntries(manifest));
  }
  return entries;
}

function manifestEntries(manifest: Readonly<Record<string, unknown>>): ImportEntry[] {
  const data = isRecord(manifest['data']) ? manifest['data'] : {};
  const stringData = isRecord(manifest['stringData']) ? manifest['stringData'] : {};
  const keys = new Set([...Object.keys(data), ...Object.keys(stringData)]);
  return [...keys].map((key) => {
    const text = own(stringData, key);
    if (typeof text === 'string') return { key, input: { value: text } };
    const base64 = own(data, key);
    if (text !== undefined || typeof base64 !== 'string') return { key, refusal: 'data and stringData hold texts' };
    return { key, input: kubernetesValue(base64) };
  });
}

/** Bytes that are UTF-8 become a text, so that a form shows the same kind of secret however it came in. */
function kubernetesValue(base64: string): ValueInput {
  const compact = base64.replace(/\s/g, '');
  const bytes = Buffer.from(compact, 'base64');
  if (bytes.toString('base64') !== compact) return { valueBase64: compact };
  try {
    return { value: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    return { valueBase64: compact };
  }
}

function own(record: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(message: string): StrongroomError {
  return new StrongroomError('validation_failed', {
    detail: `The file could not be read: ${message}.`,
    errors: [{ pointer: '/content', message }],
  });
}
