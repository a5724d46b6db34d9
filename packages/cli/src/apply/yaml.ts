import type * as Yaml from 'yaml';
import type { Alias, Document, ParsedNode } from 'yaml';
import { UsageError } from '../errors.ts';

/** Nodes that the documents of one text come to, aliases counted as often as they are used. */
const maxNodes = 100_000;
/** Lines, and brackets, of one text: what the library takes for them is what it takes at all, and it takes its time. */
const maxStructure = 50_000;
/** Lists and objects in one another. */
const maxDepth = 64;

/**
 * The documents of a text in YAML 1.2 (JSON is YAML) that are not empty, as JSON could say them: what YAML has beyond that, and
 * what would be altered on its way, is refused. An alias stands for a copy; their number is limited by what they come to.
 *
 * @param path as it is said in errors
 * @throws UsageError with line and column, never with a line of the text: it may hold a value by mistake
 */
export async function parseYaml(text: string, path: string): Promise<readonly unknown[]> {
  for (const [what, ...characters] of [
    ['lines', '\n'],
    ['brackets', '[', '{'],
  ] as const)
    if (characters.reduce((sum, each) => sum + text.split(each).length - 1, 0) > maxStructure)
      throw new UsageError(`${path} has more than ${maxStructure} ${what}`);
  const yaml = await import('yaml');
  const lines = new yaml.LineCounter();
  const refuse = (offset: number, reason: string): never => {
    const { line, col } = lines.linePos(offset);
    throw new UsageError(`${path}:${line}:${col} ${reason}`);
  };
  // Keys are compared while they are read, which the library does with each pair of them; its numbers are doubles.
  const options = {
    prettyErrors: false,
    lineCounter: lines,
    uniqueKeys: false,
    version: '1.2',
    intAsBigInt: true,
  } as const;
  const parse = () => {
    try {
      return yaml.parseAllDocuments(text, options);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      // The library reads nested lists by calling itself.
      throw new UsageError(`${path} is nested too deeply`);
    }
  };
  const documents = parse();
  if ('empty' in documents) return [];
  const left = { nodes: maxNodes };
  return documents.flatMap((document) => {
    const [problem] = [...document.errors, ...document.warnings];
    if (problem !== undefined)
      refuse(problem.pos[0], `is not YAML (${problem.code.toLowerCase().replaceAll('_', ' ')})`);
    if (document.directives.yaml.version !== '1.2') refuse(document.range[0], 'is not YAML 1.2');
    const value = new Reader(yaml, document, refuse, left).read(document.contents, 0);
    // What follows the last `---` may be empty.
    return value === null ? [] : [value];
  });
}

/** Reads one document. */
class Reader {
  readonly #yaml: typeof Yaml;
  readonly #sources: ReadonlyMap<Alias, ParsedNode>;
  readonly #refuse: (offset: number, reason: string) => never;
  readonly #left: { nodes: number };

  constructor(
    yaml: typeof Yaml,
    document: Document.Parsed,
    refuse: (offset: number, reason: string) => never,
    left: { nodes: number },
  ) {
    this.#yaml = yaml;
    this.#refuse = refuse;
    this.#left = left;
    this.#sources = this.#findSources(document);
  }

  /** What each alias stands for: of several anchors of a name, the last one before it. The library looks for it each time. */
  #findSources(document: Document.Parsed): ReadonlyMap<Alias, ParsedNode> {
    const anchors = new Map<string, ParsedNode>();
    const sources = new Map<Alias, ParsedNode>();
    this.#yaml.visit(document, {
      Alias: (_key, alias) => {
        const source = anchors.get(alias.source);
        if (source !== undefined) sources.set(alias, source);
      },
      Value: (_key, node) => {
        if (node.anchor !== undefined) anchors.set(node.anchor, node as ParsedNode);
      },
    });
    return sources;
  }

  read(node: ParsedNode | Alias | null, depth: number): unknown {
    if (node === null) return null;
    const at = node.range?.[0] ?? 0;
    this.#left.nodes -= 1;
    if (this.#left.nodes < 0) this.#refuse(at, `is where there is more than a manifest has (${maxNodes} parts)`);
    // Also where an alias is inside of what it stands for.
    if (depth > maxDepth) this.#refuse(at, 'is nested too deeply');
    const { isAlias, isMap, isSeq } = this.#yaml;
    if (isAlias(node)) {
      const source = this.#sources.get(node);
      return source === undefined ? this.#refuse(at, 'is an alias of nothing') : this.read(source, depth + 1);
    }
    if (isMap(node)) {
      const read: Record<string, unknown> = {};
      for (const { key, value } of node.items) {
        const name = this.#key(key, at);
        if (Object.hasOwn(read, name)) this.#refuse(key.range[0], 'is there a second time');
        const content = this.read(value, depth + 1);
        // `__proto__` is a name like any other.
        Object.defineProperty(read, name, { value: content, enumerable: true, configurable: true, writable: true });
      }
      return read;
    }
    if (isSeq(node)) return node.items.map((item) => this.read(item as ParsedNode | null, depth + 1));
    return this.#scalar((node as { readonly value: unknown }).value, at);
  }

  #key(key: ParsedNode | null, at: number): string {
    if (key !== null && this.#yaml.isScalar(key) && typeof key.value === 'string') return key.value;
    return this.#refuse(key?.range[0] ?? at, 'is a name that is not text');
  }

  #scalar(value: unknown, at: number): unknown {
    if (typeof value === 'bigint') {
      if (value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER) return Number(value);
      return this.#refuse(at, 'is a number that would be altered; put it in quotes');
    }
    if (typeof value === 'number' && !Number.isFinite(value)) return this.#refuse(at, 'is no number that JSON has');
    if (value === null || ['string', 'number', 'boolean'].includes(typeof value)) return value;
    return this.#refuse(at, 'is of a type that JSON has not');
  }
}
