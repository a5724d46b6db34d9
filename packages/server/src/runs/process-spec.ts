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
  /** What it is to be given where that can be said. Memory as Spark writes it, `4g`. */
  readonly resources?: { readonly cores?: number; readonly memory?: string };
  /** The same program as an operator starts it, when it is asked for one. */
  readonly spark?: SparkProgram;
}

/** A Spark program without a command. */
export interface SparkProgram {
  readonly mainFile: string;
  readonly mainClass?: string;
  readonly arguments: readonly string[];
  readonly dependencies?: Readonly<Record<string, readonly string[]>>;
  readonly javaOptions?: string;
  readonly sizes?: {
    readonly driverCores?: number;
    readonly driverMemory?: string;
    readonly executorCores?: number;
    readonly executorMemory?: string;
    readonly executorInstances?: number;
  };
  /** Those that don't follow from the rest; cleared with the environment. */
  readonly properties: Map<string, { readonly text: string; readonly isSecret: boolean }>;
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
