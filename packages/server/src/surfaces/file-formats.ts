import { parseText } from '@strongroom/contract';
import { randomUUID } from 'node:crypto';
import { visit } from 'yaml';
import { readYamlDocuments } from '../bounded-yaml.ts';

/**
 * How a value is written into a file, by the file's name. A value must come out of the format's own parser as it went in:
 * it can't end a string, begin a section or add a property. `null`: the format has no way to write it.
 */
export type Escaper = (value: string) => string | null;

const formats: readonly { readonly suffixes: readonly string[]; readonly escape: Escaper }[] = [
  { suffixes: ['.json', '.yaml', '.yml', '.toml'], escape: escapeQuoted },
  { suffixes: ['.xml'], escape: escapeXml },
  { suffixes: ['.properties'], escape: escapeProperty },
  { suffixes: ['.ini', '.cfg'], escape: escapeIni },
];

/** The escaper of a file; files of unknown formats take values as they are. */
export function escaperOf(fileName: string): Escaper {
  return formatOf(fileName)?.escape ?? ((value) => value);
}

/** Whether values are escaped in a file of this name. */
export function hasFormat(fileName: string): boolean {
  return formatOf(fileName) !== undefined;
}

function formatOf(fileName: string): (typeof formats)[number] | undefined {
  const lower = fileName.toLowerCase();
  return formats.find(({ suffixes }) => suffixes.some((suffix) => lower.endsWith(suffix)));
}

/** Inside double quotes: RFC 8259 §7, YAML 1.2.2 §7.3.1, TOML basic strings. */
function escapeQuoted(value: string): string {
  return JSON.stringify(value)
    .slice(1, -1)
    .replaceAll(/[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g, unicodeEscape);
}

function unicodeEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

const xmlEntities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
  '\t': '&#9;',
  '\n': '&#10;',
  '\r': '&#13;',
};

/** In text and in attributes (XML 1.0 §2.2: other control characters can't be written at all). */
function escapeXml(value: string): string | null {
  if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(value)) return null;
  return value.replaceAll(/[&<>"'\t\n\r]/g, (character) => xmlEntities[character] ?? character);
}

/** As java.util.Properties.load reads it, in any encoding. */
export function escapeProperty(value: string): string {
  return value
    .replaceAll('\\', '\\\\')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t')
    .replaceAll('\f', '\\f')
    .replace(/^ +/, (blanks) => '\\ '.repeat(blanks.length))
    .replaceAll(/[^\u0020-\u007e]/g, unicodeEscape);
}

/** INI has no escapes that parsers agree on: one line, without blanks around it. */
function escapeIni(value: string): string | null {
  return /[\r\n\u0000\u0085\u2028\u2029]/.test(value) || value.trim() !== value ? null : value;
}

/** A file of the largest size has fewer, unless it is nothing but short names and values. */
const maxTemplateMarks = 100_000;

/**
 * Why a template can't be filled safely, if so: in JSON and YAML every placeholder stands inside a double-quoted string,
 * where escaping keeps it.
 */
export function templateProblem(fileName: string, content: string, withVariables: boolean): string | undefined {
  const lower = fileName.toLowerCase();
  const isJson = lower.endsWith('.json');
  const isYaml = lower.endsWith('.yaml') || lower.endsWith('.yml');
  if (!isJson && !isYaml) return undefined;
  const { parts } = parseText(content, withVariables);
  // Nobody can have written it into the template.
  const name = `m${randomUUID().replaceAll('-', '')}`;
  const marks: string[] = [];
  const text = parts
    .map((part, index) => {
      if (part.kind === 'literal') return part.text;
      const mark = `${name}x${index}x`;
      marks.push(mark);
      return mark;
    })
    .join('');
  if (marks.length === 0) return undefined;
  const documents = readYamlDocuments(text, { maxMarks: maxTemplateMarks, ...(isJson ? { schema: 'json' } : {}) });
  if ('kind' in documents && documents.kind === 'too-large')
    return `The template has more parts than are looked at (${maxTemplateMarks} names, values, blanks and line ends).`;
  const [document, second] = 'kind' in documents ? [] : documents;
  if (document === undefined || second !== undefined) return `The template is not ${isJson ? 'JSON' : 'YAML'}.`;
  const quoted: string[] = [];
  visit(document, {
    Scalar(_key, node) {
      if (node.type === 'QUOTE_DOUBLE' && typeof node.value === 'string') quoted.push(node.value);
    },
  });
  const found = new Set(quoted.flatMap((value) => value.match(new RegExp(`${name}x\\d+x`, 'g')) ?? []));
  const isQuoted = marks.every((mark) => found.has(mark));
  return isQuoted ? undefined : 'In JSON and YAML a placeholder stands inside a double-quoted string.';
}
