import { tmpdir } from 'node:os';

/** The process's environment, read here and nowhere else. */
export interface Environment {
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory: string;
}

export function processEnvironment(): Environment {
  return { variables: process.env, workingDirectory: process.cwd() };
}

/** What other programs' variables say about this process; nothing of it changes a setting. */
export interface Ambient {
  /** Names of proxy variables that are set, and ignored. */
  readonly proxyVariables: readonly string[];
  readonly isProduction: boolean;
  /** PATH and LANG of this process, for jobs that set none. */
  readonly path: string;
  readonly language: string;
  /** Where what a run needs for a while is made. */
  readonly temporaryDirectory: string;
}

const proxyNames = ['http_proxy', 'https_proxy', 'all_proxy', 'no_proxy', 'NODE_USE_ENV_PROXY'];

export function ambientOf(environment: Environment): Ambient {
  const isSet = (name: string): boolean => (environment.variables[name] ?? '') !== '';
  return {
    proxyVariables: proxyNames.flatMap((name) => [...new Set([name, name.toUpperCase()])]).filter(isSet),
    isProduction: environment.variables['NODE_ENV'] === 'production',
    path: environment.variables['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
    language: environment.variables['LANG'] ?? 'C.UTF-8',
    temporaryDirectory: environment.variables['TMPDIR'] ?? tmpdir(),
  };
}
