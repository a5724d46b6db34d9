import { type AnchorLine, isLinked, isSignedBy, parseAnchorLine } from './anchor-line.ts';
import type { Claims } from './claims.ts';
import type { AnchorPosition } from './record.ts';
import type { AnchorInput } from './source.ts';
import type { Findings, Windows } from './verify-report.ts';

interface NamedPosition extends AnchorPosition {
  /** Who names it, as people read it. */
  readonly by: string;
}

interface Series {
  first: number;
  last: number;
  isBesideDatabase: boolean;
}

/**
 * Reads anchors: their links and signatures, what they claim about chains, and whether lines named elsewhere are there.
 *
 * A line's hash covers its signature and the line before, so within a linked run only the last signature is checked.
 */
export class AnchorCheck {
  readonly #publicKeys: ReadonlyMap<string, Uint8Array>;
  readonly #findings: Findings;
  readonly #windows: Windows;
  readonly keyIds = new Set<string>();
  lines = 0;
  /** How far anchors that are kept elsewhere tell of each chain. */
  readonly outsideTo = new Map<string, number>();
  /** The time of their newest statement, milliseconds since 1970. */
  outsideAt: number | null = null;

  constructor(publicKeys: ReadonlyMap<string, Uint8Array>, findings: Findings, windows: Windows) {
    this.#publicKeys = publicKeys;
    this.#findings = findings;
    this.#windows = windows;
  }

  /** Checks one anchor and adds what it says to the claims. */
  async read(input: AnchorInput, claims: Claims): Promise<void> {
    const lastOfSeries = new Map<string, AnchorLine>();
    for await (const text of input.lines()) {
      const line = parseAnchorLine(text);
      if (line === null) continue;
      const last = lastOfSeries.get(line.series);
      if (last?.lineHash === line.lineHash) continue;
      if (last !== undefined && !isLinked(last, line)) {
        this.#endRun(input, last);
        this.#reportBreak(input, last, line);
      }
      // Old files may be in an archive; what they said of chains is linked to by later ones.
      if (last === undefined && line.line > 1 && input.isBesideDatabase)
        this.#windows.add(
          null,
          null,
          `the anchor ${input.name} starts at line ${line.line} of series ${line.series}; the lines before it were not given`,
        );
      lastOfSeries.set(line.series, line);
      this.lines += 1;
      if (!input.isBesideDatabase) {
        this.outsideTo.set(line.chain, Math.max(line.sequence, this.outsideTo.get(line.chain) ?? 0));
        this.outsideAt = Math.max(line.at, this.outsideAt ?? 0);
      }
      const { sequence, hash, epoch } = line;
      claims.add(line.chain, { sequence, hash, epoch, kind: 'anchor', where: `${input.name}, line ${line.line}` });
    }
    for (const last of lastOfSeries.values()) this.#endRun(input, last);
  }

  #endRun(input: AnchorInput, last: AnchorLine): void {
    const publicKey = this.#publicKeys.get(last.keyId);
    if (publicKey === undefined || !isSignedBy(publicKey, last)) {
      const reason =
        publicKey === undefined
          ? `is signed with the key ${last.keyId}, which was not given`
          : 'has no valid signature';
      this.#findings.add(last.chain, last.sequence, `line ${last.line} of the anchor ${input.name} ${reason}`);
      return;
    }
    this.keyIds.add(last.keyId);
  }

  #reportBreak(input: AnchorInput, last: AnchorLine, line: AnchorLine): void {
    // A service that collects lines may lose some; a file that is only appended to does not.
    const isGap = line.line > last.line + 1;
    if (isGap && !input.isBesideDatabase) return;
    const why = isGap
      ? `the anchor ${input.name} goes from line ${last.line} to line ${line.line}`
      : `line ${line.line} of the anchor ${input.name} does not follow line ${last.line}`;
    this.#findings.add(line.chain, line.sequence, why);
  }

  /**
   * Looks for the named lines. One that lies after the end of an anchor beside the database means that it was cut; one that
   * no given anchor can tell about leaves a window.
   */
  async find(named: readonly NamedPosition[], inputs: readonly AnchorInput[], isComplete: boolean): Promise<void> {
    if (named.length === 0) return;
    const missing = new Map(named.map((position) => [`${position.series} ${position.line}`, position]));
    const known = new Map<string, Series>();
    for (const input of inputs) {
      for await (const text of input.lines()) {
        const line = parseAnchorLine(text);
        if (line === null) continue;
        const series = known.get(line.series) ?? { first: line.line, last: line.line, isBesideDatabase: false };
        series.first = Math.min(series.first, line.line);
        series.last = Math.max(series.last, line.line);
        series.isBesideDatabase ||= input.isBesideDatabase;
        known.set(line.series, series);
        const place = `${line.series} ${line.line}`;
        const position = missing.get(place);
        if (position === undefined) continue;
        if (position.hash !== line.lineHash)
          this.#findings.add(
            line.chain,
            line.sequence,
            `line ${line.line} of the anchor ${input.name} is not the one that ${position.by} names`,
          );
        missing.delete(place);
      }
    }
    const unknown = new Map<string, number>();
    for (const position of missing.values()) {
      const series = known.get(position.series);
      if (series?.isBesideDatabase === true && position.line > series.last) {
        this.#findings.add(
          null,
          null,
          `the anchor was cut: it ends at line ${series.last}, and ${position.by} names line ${position.line}`,
        );
      } else if (series === undefined && isComplete) {
        this.#findings.add(null, null, `the anchor is missing: ${position.by} names its line ${position.line}`);
      } else {
        unknown.set(position.series, (unknown.get(position.series) ?? 0) + 1);
      }
    }
    for (const [series, count] of unknown) {
      this.#windows.add(
        null,
        null,
        `${count} lines named in the log are not in the anchors given (series ${series}); give the anchor files that hold them`,
      );
    }
  }
}
