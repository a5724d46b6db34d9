import { type ExportLine, maxExportLineBytes, parseExportLine } from './export-lines.ts';
import { readLines } from './lines.ts';
import type { AuditSource } from './source.ts';

/**
 * The log in an exported JSON Lines file. The file is read several times, never held.
 *
 * @throws TypeError for a file without any line of an export; the file system's error when it cannot be read
 */
export async function openExportSource(path: string): Promise<AuditSource> {
  let damagedLines = 0;
  let firstDamaged = 0;
  async function* lines(isCounting: boolean): AsyncGenerator<ExportLine> {
    let number = 0;
    for await (const bytes of readLines(path, maxExportLineBytes)) {
      number += 1;
      const line = parseExportLine(bytes);
      if (line !== null) yield line;
      else if (isCounting) {
        damagedLines += 1;
        firstDamaged ||= number;
      }
    }
  }
  if (!(await hasAny(lines(false)))) throw new TypeError(`${path} is not an export of the audit log in JSON Lines`);
  return {
    async *chains() {
      for await (const line of lines(false)) {
        if (line.type === 'record') return;
        if (line.type === 'chain') yield line.head;
      }
    },
    async *segments() {
      for await (const line of lines(false)) {
        if (line.type === 'record') return;
        if (line.type === 'segment') yield line.segment;
      }
    },
    async *checkpoints() {
      for await (const line of lines(false)) {
        if (line.type === 'record') return;
        if (line.type === 'checkpoint') yield line.checkpoint;
      }
    },
    async *firstRecords() {
      let chain = '';
      for await (const line of lines(false)) {
        if (line.type !== 'record' || line.record.chain === chain) continue;
        chain = line.record.chain;
        yield line.record;
      }
    },
    async *records() {
      for await (const line of lines(true)) if (line.type === 'record') yield line.record;
    },
    damage: () =>
      damagedLines === 0 ? [] : [`${damagedLines} lines of ${path} are damaged, the first is line ${firstDamaged}`],
    close: async () => undefined,
  };
}

async function hasAny(lines: AsyncIterable<ExportLine>): Promise<boolean> {
  // Leaving the loop closes the file.
  for await (const line of lines) return line.type !== undefined;
  return false;
}
