import { digestFile } from '../store/backup-manifest.ts';
import { readMarks } from './archive-directory.ts';
import type { ExportLine } from './export-lines.ts';
import {
  openSegment,
  segmentDigest,
  type SegmentDocument,
  segmentName,
  type SignedSegment,
} from './segment-document.ts';
import { SegmentDamage, segmentFileLines, segmentFiles } from './segment-file.ts';
import type { ArchivedReport, Findings, Windows } from './verify-report.ts';

const maxReported = 100;

/** A segment that the log names. */
export interface KnownSegment {
  readonly name: string;
  readonly digest: string;
  readonly document: SegmentDocument;
  /** Its file, when the archive was given and has it. */
  readonly path: string | null;
}

interface FoundSegment extends Omit<KnownSegment, 'path'> {
  readonly path: string;
}

/**
 * The archived part of a log: its marks, checked and linked, and the files that go with them. Memory is bounded by the number
 * of segments and of the chains in them.
 */
export class SegmentCheck {
  readonly #publicKeys: ReadonlyMap<string, Uint8Array>;
  readonly #findings: Findings;
  readonly #windows: Windows;
  readonly #unreadable = new Set<string>();
  segments: readonly KnownSegment[] = [];
  readonly keyIds = new Set<string>();

  constructor(publicKeys: ReadonlyMap<string, Uint8Array>, findings: Findings, windows: Windows) {
    this.#publicKeys = publicKeys;
    this.#findings = findings;
    this.#windows = windows;
  }

  /** Digests of the marks there are. */
  get digests(): ReadonlySet<string> {
    return new Set(this.segments.map(({ digest }) => digest));
  }

  /** What a log and its archive hold. @param directories none: the archive is not at hand */
  async read(marks: AsyncIterable<SignedSegment>, directories: readonly string[]): Promise<void> {
    const found = await this.#findSegments(directories);
    const known: KnownSegment[] = [];
    let previous: Pick<KnownSegment, 'digest' | 'document'> | null = null;
    for await (const mark of marks) {
      const document = this.#open(mark, `the mark of segment ${mark.number}`);
      if (document === null) continue;
      const name = segmentName(document);
      const digest = segmentDigest(mark);
      const number: number = (previous?.document.number ?? 0) + 1;
      if (
        document.number !== mark.number ||
        document.number !== number ||
        document.previous !== (previous?.digest ?? null)
      )
        this.#findings.add(null, null, `segment ${name} does not follow the one before: a mark is missing or another`);
      const path = found.get(digest)?.path ?? null;
      if (path === null && directories.length > 0)
        this.#findings.add(null, null, `segment ${name} is missing in the archive given`);
      found.delete(digest);
      known.push({ name, digest, document, path });
      previous = { digest, document };
    }
    for (const { name } of found.values())
      this.#windows.add(
        null,
        null,
        `the archive has a segment ${name} that the log does not name: of a run that was stopped, or of before a restore`,
      );
    this.segments = known;
    await this.#checkFiles();
  }

  /** The archive by itself: the newest segment and what it links to. */
  async readAlone(directories: readonly string[]): Promise<void> {
    const found = await this.#findSegments(directories);
    const newestFirst = [...found.values()].sort(
      (a, b) => b.document.number - a.document.number || b.document.epoch - a.document.epoch,
    );
    const path: FoundSegment[] = [];
    for (let next = newestFirst[0]; next !== undefined;) {
      path.unshift(next);
      found.delete(next.digest);
      const { previous, number } = next.document;
      if (previous === null) break;
      const linked = found.get(previous);
      if (linked === undefined)
        this.#findings.add(null, null, `the segment that ${next.name} follows is missing, or another`);
      next = linked ?? newestFirst.find(({ document }) => document.number < number);
    }
    for (const { name } of found.values())
      this.#windows.add(
        null,
        null,
        `the archive has a segment ${name} that the others do not link to: of before a restore`,
      );
    if (path[0] === undefined) this.#findings.add(null, null, 'there is no segment in the archive');
    const last = path.at(-1);
    if (last !== undefined)
      this.#windows.add(
        null,
        null,
        `the archive was verified up to segment ${last.name}; whether there were later ones the database says`,
      );
    this.segments = path;
    await this.#checkFiles();
  }

  async #findSegments(directories: readonly string[]): Promise<Map<string, FoundSegment>> {
    const found = new Map<string, FoundSegment>();
    for (const directory of directories) {
      for await (const { path: markPath, name: fileName, mark } of readMarks(directory)) {
        if (mark === null) {
          this.#findings.add(null, null, `${markPath} holds no mark of a segment`);
          continue;
        }
        const document = this.#open(mark, markPath);
        if (document === null) continue;
        const name = segmentName(document);
        if (name !== fileName) {
          this.#findings.add(null, null, `${markPath} holds the mark of another segment, ${name}`);
          continue;
        }
        const digest = segmentDigest(mark);
        if (!found.has(digest)) found.set(digest, { name, digest, document, path: segmentFiles(directory, name).data });
      }
    }
    return found;
  }

  #open(mark: SignedSegment, what: string): SegmentDocument | null {
    const document = openSegment(mark, this.#publicKeys);
    if ('why' in document) {
      this.#findings.add(null, null, `${what}: ${document.why}`);
      return null;
    }
    this.keyIds.add(mark.keyId);
    return document;
  }

  async #checkFiles(): Promise<void> {
    for (const segment of this.segments) {
      if (segment.path === null) continue;
      const { bytes, sha256 } = segment.document.file;
      try {
        const found = await digestFile(segment.path);
        if (found.bytes !== bytes || found.sha256 !== sha256)
          this.#findings.add(null, null, `the file of segment ${segment.name} is not the one that was sealed`);
      } catch (error) {
        this.#notRead(segment, error);
      }
    }
  }

  /** Lines of a segment's file, as far as it can be read; none of one that is not at hand. */
  async *lines(segment: KnownSegment): AsyncGenerator<ExportLine> {
    if (segment.path === null) return;
    let damaged = 0;
    try {
      for await (const line of segmentFileLines(segment.path, segment.document.file.contentBytes)) {
        if (line === null) damaged += 1;
        else yield line;
      }
    } catch (error) {
      this.#notRead(segment, error);
    }
    if (damaged > 0) this.#unreadable.add(segment.digest);
  }

  /** Its file was at hand and could be read to its end. */
  isRead({ path, digest }: KnownSegment): boolean {
    return path !== null && !this.#unreadable.has(digest);
  }

  // The file itself is at fault, or what somebody made of it; trouble of this machine is no finding.
  #notRead(segment: KnownSegment, error: unknown): void {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    const isGone = code === 'ENOENT';
    if (!isGone && !code.startsWith('Z_') && !(error instanceof SegmentDamage)) throw error;
    const why = isGone ? 'is missing' : 'can not be read to its end';
    if (!this.#unreadable.has(segment.digest))
      this.#findings.add(null, null, `the file of segment ${segment.name} ${why}`);
    this.#unreadable.add(segment.digest);
  }

  report(): { readonly archived: readonly ArchivedReport[]; readonly archivedCount: number } {
    const time = (at: number): string => new Date(at).toISOString();
    const archived = this.segments.slice(-maxReported).map((segment): ArchivedReport => {
      const { file, records, from, to } = segment.document;
      return {
        segment: segment.name,
        digest: segment.digest,
        sha256: file.sha256,
        bytes: file.bytes,
        records,
        from: time(from),
        to: time(to),
        isRead: this.isRead(segment),
      };
    });
    return { archived, archivedCount: this.segments.length };
  }
}
