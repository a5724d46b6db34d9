import { randomFillSync } from 'node:crypto';
import { closeSync, openSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { syncDirectory } from './data-directory.ts';

export interface DiskReserveSettings {
  /** Free bytes of the data directory's disk below which only essential commands are written. */
  readonly ordinaryFloorBytes: number;
  /** Size of the file that is given back to the file system when the disk is full. */
  readonly reserveBytes: number;
}

const mebibyte = 1024 * 1024;

/**
 * Half of what readiness wants, so a server says that it is not well before it refuses a write. The file has room for some
 * thousand records with their write-ahead log.
 */
export const defaultDiskReserve: DiskReserveSettings = {
  ordinaryFloorBytes: 32 * mebibyte,
  reserveBytes: 8 * mebibyte,
};

/** Name of the file in the data directory. It holds nothing, and is in no backup. */
export const reserveFileName = 'audit.reserve';
const believedMilliseconds = 1_000;

/** Room on the disk that is kept for the audit of what must go on. */
export class DiskReserve {
  readonly #directory: string;
  readonly #settings: DiskReserveSettings;
  readonly #freeBytes: () => number;
  #believed = { until: Number.NEGATIVE_INFINITY, isLow: false };

  /** @param freeBytes of the disk; by default asked of the file system */
  constructor(
    directory: string,
    settings: DiskReserveSettings,
    freeBytes: () => number = () => {
      const { bavail, bsize } = statfsSync(directory);
      return bavail * bsize;
    },
  ) {
    this.#directory = directory;
    this.#settings = settings;
    this.#freeBytes = freeBytes;
  }

  /** Whether only essential commands should be written. The file system is asked once a second at most. */
  isLow(): boolean {
    const now = performance.now();
    if (now < this.#believed.until) return this.#believed.isLow;
    const { ordinaryFloorBytes, reserveBytes } = this.#settings;
    let free = this.#freeBytes();
    if (free >= ordinaryFloorBytes + 2 * reserveBytes && !this.#isThere()) {
      this.#make();
      free -= reserveBytes;
    }
    this.#believed = { until: now + believedMilliseconds, isLow: free < ordinaryFloorBytes };
    return this.#believed.isLow;
  }

  /** Gives the file's space back. @returns whether there was any */
  release(): boolean {
    const wasThere = this.#isThere();
    rmSync(this.#path, { force: true });
    if (wasThere) syncDirectory(this.#directory);
    this.#believed = { until: performance.now() + believedMilliseconds, isLow: true };
    return wasThere;
  }

  get #path(): string {
    return join(this.#directory, reserveFileName);
  }

  /** One that was cut short while it was made does not count. */
  #isThere(): boolean {
    return statSync(this.#path, { throwIfNoEntry: false })?.size === this.#settings.reserveBytes;
  }

  /** Random bytes: a file system that compresses would keep next to nothing for zeros. */
  #make(): void {
    const block = new Uint8Array(Math.min(mebibyte, this.#settings.reserveBytes));
    const descriptor = openSync(this.#path, 'w', 0o600);
    try {
      for (let written = 0; written < this.#settings.reserveBytes;) {
        randomFillSync(block);
        written += writeSync(descriptor, block, 0, Math.min(block.length, this.#settings.reserveBytes - written));
      }
    } catch (error) {
      // Somebody else took the space meanwhile. Without a reserve the store is as well as any other.
      rmSync(this.#path, { force: true });
      if (!isFull(error)) throw error;
    } finally {
      closeSync(descriptor);
    }
  }
}

/** Whether the file system said that the disk, or a quota, is full. */
export function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}
