import type { Genesis } from './record.ts';

type Named = { readonly id: string; readonly name: string };

/** What a record says, read back from its bytes. */
export interface RecordContent {
  readonly v: number;
  /** RFC 3339. */
  readonly at: string;
  readonly principal: Named;
  readonly action: string;
  readonly outcome: string;
  readonly scope?: Named;
  readonly object?: Named & { readonly type: string };
  readonly requestId?: string;
  readonly network?: string;
  readonly launch?: string;
  readonly reference?: string;
  readonly source?: string;
  readonly version?: string;
  readonly because?: readonly string[];
  readonly detail?: Readonly<Record<string, string | number | boolean | null>>;
  /** Texts or entries were over the limit. */
  readonly cut?: true;
  readonly genesis?: Genesis;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });
const optionalTexts = ['requestId', 'network', 'launch', 'reference', 'source', 'version'] as const;

/** `null` for bytes that are no record: somebody changed them, for what the chain writes always is one. */
export function parseRecord(bytes: Uint8Array): RecordContent | null {
  const content = parseObject(bytes);
  if (content === null) return null;
  const { v, at, principal, action, outcome, scope, object, because, detail, genesis, cut } = content;
  const isRecord =
    v === 1 &&
    (cut === undefined || cut === true) &&
    typeof at === 'string' &&
    !Number.isNaN(Date.parse(at)) &&
    isNamed(principal) &&
    typeof action === 'string' &&
    typeof outcome === 'string' &&
    (scope === undefined || isNamed(scope)) &&
    (object === undefined || (isNamed(object) && 'type' in object && typeof object.type === 'string')) &&
    optionalTexts.every((name) => content[name] === undefined || typeof content[name] === 'string') &&
    (because === undefined || (Array.isArray(because) && because.every((reason) => typeof reason === 'string'))) &&
    (detail === undefined || (isObject(detail) && Object.values(detail).every((value) => !isObject(value)))) &&
    (genesis === undefined || isGenesis(genesis));
  return isRecord ? (content as unknown as RecordContent) : null;
}

function parseObject(bytes: Uint8Array): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(utf8.decode(bytes));
    return isObject(value) ? value : null;
  } catch (error) {
    // Not UTF-8, or not JSON.
    if (error instanceof TypeError || error instanceof SyntaxError) return null;
    throw error;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isNamed(value: unknown): value is Named {
  return isObject(value) && typeof value['id'] === 'string' && typeof value['name'] === 'string';
}

function isGenesis(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { installation, epoch, macTerm, checkpoint, heads, anchor } = value;
  return (
    typeof installation === 'string' &&
    Number.isSafeInteger(epoch) &&
    typeof macTerm === 'string' &&
    (checkpoint === null || (isObject(checkpoint) && typeof checkpoint['id'] === 'string')) &&
    (anchor === null || (isObject(anchor) && typeof anchor['series'] === 'string')) &&
    Array.isArray(heads) &&
    heads.every((head) => isObject(head) && typeof head['chain'] === 'string' && Number.isSafeInteger(head['sequence']))
  );
}
