import { escapeText } from './record.ts';
import { parseRecord } from './record-content.ts';
import type { ListedRecord } from './queries.ts';

const columns = [
  'at',
  'chain',
  'sequence',
  'principal',
  'principalName',
  'action',
  'outcome',
  'scope',
  'scopeName',
  'objectType',
  'object',
  'objectName',
  'requestId',
  'network',
  'launch',
  'reference',
  'source',
  'version',
  'because',
  'detail',
  'hash',
] as const;

export const csvHeader = `${columns.join(',')}\r\n`;

/** One line of CSV (RFC 4180), from the record itself; of a record that is not readable, what its columns say. */
export function encodeCsvLine(row: ListedRecord): string {
  const record = parseRecord(row.record);
  const cells: Record<(typeof columns)[number], string | null | undefined> = {
    at: record?.at ?? new Date(row.at).toISOString(),
    chain: row.chain_id,
    sequence: String(row.sequence),
    principal: record?.principal.id ?? row.principal_id,
    principalName: record === null ? '(the record is not readable)' : record.principal.name,
    action: record?.action ?? row.action,
    outcome: record?.outcome ?? row.outcome,
    scope: record?.scope?.id ?? row.scope_id,
    scopeName: record?.scope?.name,
    objectType: record?.object?.type,
    object: record?.object?.id,
    objectName: record?.object?.name,
    requestId: record?.requestId,
    network: record?.network,
    launch: record?.launch,
    reference: record?.reference,
    source: record?.source,
    version: record?.version,
    because: record?.because?.join(' '),
    detail: record?.detail === undefined ? undefined : JSON.stringify(record.detail),
    hash: Buffer.from(row.hash).toString('hex'),
  };
  return `${columns.map((column) => csvCell(cells[column] ?? '')).join(',')}\r\n`;
}

/**
 * A cell that no spreadsheet takes for a formula (a leading apostrophe makes it text) and that nothing gets out of: control
 * characters and the like are written as `\u` escapes.
 */
export function csvCell(text: string): string {
  const visible = escapeText(text).replaceAll(
    /[\u0000-\u001f]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  // The wide forms are taken for their ASCII ones by some.
  const safe = /^\s*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]/.test(text) ? `'${visible}` : visible;
  return /[",]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
