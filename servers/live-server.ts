/** Something that live tests need and that this repository doesn't bring: a server, a tool. */
export interface LiveServer {
  /** As the line `// @needs` of a test file says it. */
  readonly name: string;
  /** Gets it, pinned, into a folder outside the repository; does nothing when it is there. Throws when our part fails to build. */
  install(progress: Progress): Promise<Installation>;
}

/** Takes a line about what takes long. */
export type Progress = (message: string) => void;

export type Installation = Installed | Missing;

export interface Installed {
  /** Variables that say where it is, for the tests and for the functions that start it. */
  readonly environment: Readonly<Record<string, string>>;
}

/** It can't be had on this machine. */
export interface Missing {
  readonly reason: string;
  /** What to do or run to have it. */
  readonly install: string;
}

export function isMissing(installation: object): installation is Missing {
  return 'reason' in installation;
}

/** Where a server's folder is: as `npm run test:live` says, else by installing it now. Throws when it can't be had. */
export async function locate(server: LiveServer, variable: string): Promise<string> {
  const given = process.env[variable];
  if (given !== undefined && given !== '') return given;
  const installation = await server.install((message) => process.stderr.write(`${message}\n`));
  if (isMissing(installation)) throw new Error(`No ${server.name}: ${installation.reason}. ${installation.install}`);
  const folder = installation.environment[variable];
  if (folder === undefined) throw new Error(`The installation of ${server.name} sets no ${variable}.`);
  return folder;
}
