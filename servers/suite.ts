/** Tests that need something which this repository doesn't bring: a server, a tool. */
export interface LiveSuite {
  readonly name: string;
  /** Its test file, from the root of the repository. */
  readonly file: string;
  /** Installs what it needs, outside the repository, once. */
  prepare(): Prepared;
}

export type Prepared =
  | { readonly environment: Readonly<Record<string, string>> }
  /** `install`: the command that makes it possible. */
  | { readonly reason: string; readonly install: string };
