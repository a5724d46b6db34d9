import { StrongroomError } from '@strongroom/sdk';
import type * as Server from '@strongroom/server';
import type { Command } from 'commander';
import { UsageError } from '../errors.ts';
import type { Io } from '../io.ts';

/** The server's code, loaded by the commands of an operator alone: everything else starts without it. */
export type ServerModule = typeof Server;
export type Configuration = ReturnType<ServerModule['loadConfiguration']>;

export interface ConfigOptions {
  readonly config?: string;
}

export function addConfigOption(command: Command): Command {
  return command.option('--config <file>', "the server's file with settings; wins over STRONGROOM_CONFIG");
}

/**
 * Does something with the server's code; a configuration that isn't valid is said problem by problem.
 * @throws UsageError
 */
export async function withServer<Result>(work: (server: ServerModule) => Promise<Result>): Promise<Result> {
  const server = await import('@strongroom/server');
  try {
    return await work(server);
  } catch (error) {
    if (error instanceof server.ConfigurationError) {
      // Problems name settings and where they come from, never what they say.
      throw new UsageError(
        `the configuration is not valid: ${error.problems.join('; ')}`,
        'The settings are in docs/reference/configuration.md.',
      );
    }
    throw asStrongroomError(error);
  }
}

/** The server's settings as it would read them here. @param dataDir wins over all of them */
export function loadSettings(server: ServerModule, io: Io, options: ConfigOptions, dataDir?: string): Configuration {
  const variables = dataDir === undefined ? io.env : { ...io.env, STRONGROOM_DATA_DIR: dataDir };
  return server.loadConfiguration({ variables, workingDirectory: io.cwd }, { configFile: options.config });
}

/** SQLITE_CANTOPEN of SQLite's result codes. */
const cannotOpen = 14;

/** What the system refused about a file or an address, in words: an operator named it. */
function asStrongroomError(error: unknown): unknown {
  if (error instanceof StrongroomError || !(error instanceof Error) || !('code' in error)) return error;
  const { code, path, syscall } = error as NodeJS.ErrnoException;
  if (code === 'ERR_SQLITE_ERROR' && 'errcode' in error && error.errcode === cannotOpen)
    return new StrongroomError('storage_unavailable', {
      detail: 'The data directory has no database that can be opened.',
      hint: 'Say where it is with STRONGROOM_DATA_DIR or --config, or with --data-dir where a command takes it.',
    });
  if (code === 'EADDRINUSE' || code === 'EACCES' || code === 'ENOENT' || code === 'EADDRNOTAVAIL' || code === 'EROFS') {
    return new StrongroomError('storage_unavailable', {
      detail: `${systemReasons[code]}${path === undefined ? '' : `: ${path}`} (${code}${syscall === undefined ? '' : `, ${syscall}`}).`,
      hint:
        code === 'EADDRINUSE'
          ? 'Another server may run; STRONGROOM_LISTEN chooses another address.'
          : 'Check the path and who may use it.',
    });
  }
  return error;
}

const systemReasons = {
  EADDRINUSE: 'The address is in use',
  EADDRNOTAVAIL: 'The address is not of this machine',
  EACCES: 'It may not be used',
  ENOENT: 'It does not exist',
  EROFS: 'It can not be written to',
} as const;
