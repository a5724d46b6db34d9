export interface Runnable {
  /** Names what is run; compiled code is kept under it. */
  readonly id: string;
  readonly main: URL;
}

export const bundlesFolder: URL;
export const fromSources: Runnable;
export function currentBundle(bundles?: URL): Runnable | undefined;
export function userCacheFolder(): string;
