import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import { type Ambient, ambientOf, type Environment } from './environment.ts';
import { dropUnset } from './legacy-store.ts';
import { readOpenMetadataBlock, readOpenMetadataVariables } from './open-metadata.ts';
import { buildSecrets, buildSettings, type Secrets, type Settings } from './settings.ts';
import { type Configuration, ConfigurationSchema, type Setting, settingsTable } from './schema.ts';

/** Every problem at once; each names the setting and its source and holds nothing of its value. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`The configuration is not valid:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.problems = problems;
  }
}

export interface LoadedConfiguration {
  /** May be printed. */
  readonly settings: Settings;
  readonly secrets: Secrets;
  readonly ambient: Ambient;
}

export interface LoadOptions {
  /** `--config`; wins over STRONGROOM_CONFIG. */
  readonly configFile?: string | undefined;
  /** Reads a file; a parameter for tests. */
  readonly readFile?: (path: string) => Buffer;
}

const prefix = 'STRONGROOM_';
const configVariable = 'STRONGROOM_CONFIG';
/** Variables of the command line as a client; the server passes over them. */
const clientVariables = ['STRONGROOM_URL', 'STRONGROOM_TOKEN', 'STRONGROOM_TOKEN_FILE'] as const;
const maxFileBytes = 1024 * 1024;

/**
 * The settings from the file and the environment; the environment wins. What is unknown or malformed is refused.
 *
 * @throws ConfigurationError
 */
export function loadConfiguration(environment: Environment, options: LoadOptions = {}): LoadedConfiguration {
  const problems: string[] = [];
  const readFile = options.readFile ?? readSmallFile;
  const file = options.configFile ?? present(environment.variables[configVariable]);
  const document: Record<string, unknown> =
    file === undefined ? {} : readYaml(resolve(environment.workingDirectory, file), readFile, problems);
  readOpenMetadataBlock(document, environment.variables, problems);
  dropUnset(document);
  const origins = new Map<string, string>();
  for (const setting of settingsTable)
    if (valueAt(document, setting.path) !== undefined) origins.set(setting.path.join('.'), 'file');
  readOpenMetadataVariables(document, environment.variables, origins, problems);
  readVariables(environment, document, origins, problems);

  const validate = validator();
  if (!validate(document)) problems.push(...(validate.errors ?? []).flatMap((error) => problemOf(error, origins)));
  if (problems.length > 0) throw new ConfigurationError(problems);
  const configuration = document as Configuration;
  const context = { configuration, origins, environment, problems, readFile };
  const ambient = ambientOf(environment);
  const secrets = buildSecrets(context);
  const settings = buildSettings(context, secrets, ambient);
  if (problems.length > 0) throw new ConfigurationError(problems);
  return { settings, secrets, ambient };
}

let compiled: ValidateFunction | undefined;

// At the first use: a process that reads no configuration would start half as long again for it. Used once, so it is not
// worth optimising; and to load the schema of schemas, only to find that this is one, would take a tenth of a start.
function validator(): ValidateFunction {
  compiled ??= new Ajv({
    allErrors: true,
    useDefaults: true,
    coerceTypes: false,
    strict: true,
    meta: false,
    validateSchema: false,
    code: { optimize: false },
  }).compile(ConfigurationSchema);
  return compiled;
}

function readSmallFile(path: string): Buffer {
  const bytes = readFileSync(path);
  if (bytes.length > maxFileBytes) throw new RangeError('larger than 1 MiB');
  return bytes;
}

function readYaml(path: string, readFile: (path: string) => Buffer, problems: string[]): Record<string, unknown> {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(readFile(path));
  } catch (error) {
    problems.push(`the file ${path} cannot be read${codeOf(error)}`);
    return {};
  }
  const lines = new LineCounter();
  const parsed = parseDocument(text, { lineCounter: lines, uniqueKeys: true, strict: true, prettyErrors: false });
  // The messages quote the line, in which a password may be.
  for (const { code, pos } of [...parsed.errors, ...parsed.warnings])
    problems.push(`the file ${path} is not valid YAML: ${code} in line ${lines.linePos(pos[0]).line}`);
  if (parsed.errors.length > 0) return {};
  let value: unknown;
  try {
    value = parsed.toJS({ maxAliasCount: 0 });
  } catch {
    problems.push(`the file ${path} must not use aliases`);
    return {};
  }
  if (value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) {
    problems.push(`the file ${path} must hold a mapping of settings`);
    return {};
  }
  return value as Record<string, unknown>;
}

function readVariables(
  environment: Environment,
  document: Record<string, unknown>,
  origins: Map<string, string>,
  problems: string[],
): void {
  const byVariable = new Map(settingsTable.map((setting) => [setting.variable, setting]));
  const ignored = new Set<string>([...clientVariables, configVariable]);
  for (const [name, raw] of Object.entries(environment.variables)) {
    if (!name.startsWith(prefix) || raw === undefined || ignored.has(name)) continue;
    const setting = byVariable.get(name);
    if (setting === undefined) {
      problems.push(`${name} is not a setting${suggestion(name, [...byVariable.keys()])}`);
      continue;
    }
    const value = valueOf(setting, raw);
    if (value === undefined) {
      problems.push(`${name} must be ${setting.type === 'integer' ? 'a whole number' : 'true or false'}`);
      continue;
    }
    setAt(document, setting.path, value);
    origins.set(setting.path.join('.'), name);
  }
}

function valueOf(setting: Setting, raw: string): unknown {
  switch (setting.type) {
    case 'string':
      return raw;
    case 'integer':
      return /^\d{1,15}$/.test(raw) ? Number(raw) : undefined;
    case 'boolean':
      return raw === 'true' || raw === 'false' ? raw === 'true' : undefined;
    case 'list':
      return raw
        .split(',')
        .map((item) => item.trim())
        .filter((item) => item !== '');
  }
}

function problemOf(error: ErrorObject, origins: ReadonlyMap<string, string>): string[] {
  // The branches of a union are told by the union itself.
  if (error.keyword === 'const') return [];
  const path = error.instancePath.slice(1).replaceAll('/', '.');
  if (error.keyword === 'additionalProperties') {
    const name = String(error.params['additionalProperty']);
    const full = path === '' ? name : `${path}.${name}`;
    const known = settingsTable.map((setting) => setting.path.join('.'));
    return [`${full} in the file is not a setting${suggestion(full, known)}`];
  }
  const setting = settingsTable.find(
    (candidate) => path === candidate.path.join('.') || path.startsWith(`${candidate.path.join('.')}.`),
  );
  const name = setting === undefined ? path : (origins.get(setting.path.join('.')) ?? path);
  const said = name === 'file' ? `${path} in the file` : name;
  if (error.keyword === 'anyOf') return [`${said} must be one of ${choicesOf(path).join(', ')}`];
  if (error.keyword === 'pattern') return [`${said} is not of the form it must have: ${setting?.description ?? ''}`];
  return [`${said} ${error.message ?? 'is not valid'}`];
}

function choicesOf(path: string): string[] {
  const node = path
    .split('.')
    .reduce<unknown>((schema, name) => valueAt(schema, ['properties', name]), ConfigurationSchema);
  const branches = valueAt(node, ['anyOf']);
  return Array.isArray(branches) ? branches.map((branch: unknown) => String(valueAt(branch, ['const']))) : [];
}

/** The known name that's nearest, when one is near. */
function suggestion(name: string, known: readonly string[]): string {
  let best: { readonly name: string; readonly distance: number } | undefined;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance <= 3 && (best === undefined || distance < best.distance)) best = { name: candidate, distance };
  }
  return best === undefined ? '' : `; did you mean ${best.name}?`;
}

function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= to.length; j += 1)
      next.push(
        Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)),
      );
    row = next;
  }
  return row[to.length] ?? 0;
}

function valueAt(node: unknown, path: readonly string[]): unknown {
  let current = node;
  for (const name of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, name)) return undefined;
    current = (current as Record<string, unknown>)[name];
  }
  return current;
}

function setAt(node: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let current = node;
  for (const name of path.slice(0, -1)) {
    const child = current[name];
    const next: Record<string, unknown> =
      typeof child === 'object' && child !== null ? (child as Record<string, unknown>) : {};
    current[name] = next;
    current = next;
  }
  current[path.at(-1) ?? ''] = value;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? ` (${error.code})` : '';
}

function present(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
