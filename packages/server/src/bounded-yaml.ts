import { type Document, isScalar, Lexer, LineCounter, parseAllDocuments, visit } from 'yaml';

export interface YamlLimits {
  /** Of the text: names, values, blanks, brackets and line ends. The library takes tens of microseconds for one. */
  readonly maxMarks: number;
  readonly schema?: 'core' | 'json';
}

/** What keeps a text from being read; no word of it. `line` counts from 1. */
export interface YamlProblem {
  readonly kind: 'too-large' | 'malformed' | 'nested';
  readonly line: number;
}

/**
 * The documents of a text that somebody sent, read on the thread that answers everybody: its marks are counted before it is
 * parsed, and names that are there twice are looked for by ourselves, since the library compares each with each.
 */
export function readYamlDocuments(text: string, { maxMarks, schema }: YamlLimits): readonly Document[] | YamlProblem {
  let marks = 0;
  for (const _mark of new Lexer().lex(text)) {
    marks += 1;
    if (marks > maxMarks) return { kind: 'too-large', line: 1 };
  }
  try {
    return parsed(text, schema);
  } catch (error) {
    // It calls itself for what is in one another.
    if (error instanceof RangeError) return { kind: 'nested', line: 1 };
    throw error;
  }
}

function parsed(text: string, schema: YamlLimits['schema']): readonly Document[] | YamlProblem {
  const lineCounter = new LineCounter();
  const options = { strict: true, uniqueKeys: false, prettyErrors: false, lineCounter } as const;
  const documents = parseAllDocuments(text, schema === undefined ? options : { ...options, schema });
  if ('empty' in documents) return [];
  for (const document of documents) {
    const at = document.errors[0]?.pos[0] ?? secondName(document);
    if (at !== undefined) return { kind: 'malformed', line: lineCounter.linePos(at).line };
  }
  return documents;
}

/** Where a name is in a mapping that has it already. */
function secondName(document: Document): number | undefined {
  let found: number | undefined;
  visit(document, {
    Map(_place, { items }) {
      const names = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        if (names.has(key.value)) {
          found = key.range?.[0] ?? 0;
          return visit.BREAK;
        }
        names.add(key.value);
      }
      return undefined;
    },
  });
  return found;
}
