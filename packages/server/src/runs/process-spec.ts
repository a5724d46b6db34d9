/** What a runner is to start: plain, and holding values, so it lives from the rendering to the start and no longer. */
export interface ProcessSpec {
  /** An argument vector; nothing secret is in it. */
  readonly command: readonly string[];
  /** The job's own variables; cleared once the child has them. */
  readonly environment: Map<string, string>;
  readonly files: readonly SpecFile[];
  /** Absolute; absent: the run's own working folder. */
  readonly workingDirectory?: string;
  readonly timeoutSeconds?: number;
}

export interface SpecFile {
  /** Relative path below the working folder. */
  readonly name: string;
  readonly content: Uint8Array;
  /** Holds a value: it goes to memory, not to a disk. */
  readonly isSecret: boolean;
}

/** Bytes of one variable with its name, `=` and the terminating NUL (Linux: MAX_ARG_STRLEN, execve(2)). */
export const maxVariableBytes = 131_072;
/** Bytes of all variables of a run. */
export const maxEnvironmentBytes = 1_048_576;
/** Bytes of all files of a run. */
export const maxFilesBytes = 16 * 1024 * 1024;
