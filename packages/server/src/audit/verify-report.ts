/** What the verifier found. Plain data; the command line prints it, `--json` as it is. */
export interface VerifyReport {
  /** Nothing bad was found. Read `unprotectedWindow` too: it says what could not be judged. */
  readonly ok: boolean;
  readonly installation: string | null;
  readonly chains: number;
  readonly records: number;
  readonly checkpoints: number;
  /** Valid anchor lines, over all anchors given. */
  readonly anchorLines: number;
  /** Whether MACs were checked: for all chains, for those whose key was given, or not at all. */
  readonly macs: 'checked' | 'partly' | 'unchecked';
  /** The first of `bad`: the lowest chain id (they sort by creation), then the lowest sequence. */
  readonly firstBad: Finding | null;
  /** At most 100. */
  readonly bad: readonly Finding[];
  readonly badCount: number;
  /** What nothing signed covers, or what a missing copy leaves open. At most 100. */
  readonly unprotectedWindow: readonly Window[];
  readonly restores: readonly Restore[];
  /** What the log says is in the archive: the newest 100 segments, in their order. */
  readonly archived: readonly ArchivedReport[];
  readonly archivedCount: number;
  /** Ids of the keys that signed what was checked. */
  readonly keyIds: readonly string[];
}

export interface ArchivedReport {
  readonly segment: string;
  /** Of the mark's document. SHA-256, lower-case hex, as is `sha256`. */
  readonly digest: string;
  /** Of the file. */
  readonly sha256: string;
  readonly bytes: number;
  readonly records: number;
  /** RFC 3339: of the oldest and the newest record. */
  readonly from: string;
  readonly to: string;
  /** The file was at hand and its records were verified like the others; else its mark alone. */
  readonly isRead: boolean;
}

export interface Finding {
  /** Null when it is not about one chain. */
  readonly chain: string | null;
  /** Null when it is not about one record. */
  readonly sequence: number | null;
  readonly why: string;
}

export interface RecordPosition {
  readonly chain: string;
  readonly sequence: number;
}

/** Inclusive; null is the beginning, or the end, of the log. */
export interface Window {
  readonly from: RecordPosition | null;
  readonly to: RecordPosition | null;
  readonly why: string;
}

/** A restore from a backup, as the first chain of its epoch tells it, with what the anchor knew and the backup did not. */
export interface Restore {
  readonly chain: string;
  readonly epoch: number;
  /** RFC 3339. */
  readonly at: string;
  readonly lost: readonly Window[];
}

const maxListed = 100;

/** Collects findings in bounded memory: the lowest positions are kept. */
export class Findings {
  #found: Finding[] = [];
  count = 0;

  add(chain: string | null, sequence: number | null, why: string): void {
    this.count += 1;
    this.#found.push({ chain, sequence, why });
    if (this.#found.length > maxListed * 2) this.#found = this.sorted();
  }

  sorted(): Finding[] {
    return this.#found.toSorted(byPosition).slice(0, maxListed);
  }
}

// About a record, then about a chain, then about the log as a whole.
function byPosition(a: Finding, b: Finding): number {
  if (a.chain !== b.chain) {
    if (a.chain === null) return 1;
    if (b.chain === null) return -1;
    return a.chain < b.chain ? -1 : 1;
  }
  return (a.sequence ?? Number.MAX_SAFE_INTEGER) - (b.sequence ?? Number.MAX_SAFE_INTEGER);
}

/** Collects windows; after the hundredth only their number goes on. */
export class Windows {
  readonly #windows: Window[] = [];
  #dropped = 0;

  add(from: RecordPosition | null, to: RecordPosition | null, why: string): void {
    if (this.#windows.length < maxListed) this.#windows.push({ from, to, why });
    else this.#dropped += 1;
  }

  list(): Window[] {
    if (this.#dropped === 0) return this.#windows;
    return [...this.#windows, { from: null, to: null, why: `and ${this.#dropped} more windows` }];
  }
}
