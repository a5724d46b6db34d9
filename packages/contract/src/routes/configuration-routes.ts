import { type TSchema, Type } from 'typebox';
import type { AssetAction, ScopeAction } from '../actions.ts';
import type { ErrorCode } from '../errors.ts';
import { Label } from '../names.ts';
import { Closed, Page, pageQuery, route } from '../route.ts';
import { ConfigurationSummary } from '../surfaces/fields.ts';
import { SurfaceTest } from '../surfaces/test-steps.ts';
import { Preflight, RunAccepted, RunSummary } from './runs.ts';

/** A test is no scanner of ports. */
const triesPerMinute = 30;

const domainParams = Closed({ domain: Label });
const named = Closed({ domain: Label, name: Label });
/** Of a save that is tried. */
export const dryRunQuery = Closed({
  dryRun: Type.Optional(
    Type.Boolean({
      description:
        'true: decide it, write nothing, and answer what it would make of it; its revision is the next one where that is a change',
    }),
  ),
});
/** What a save can answer beside what every route can. */
const saveErrors = [
  'reference_unresolved',
  'permission_missing',
  'validation_failed',
  'limit_exceeded',
  'feature_disabled',
] as const;

/** What tells the routes of one kind of configurations from those of another. */
export interface ConfigurationKind<Noun extends string, Plural extends string> {
  /** Of operation ids: `SparkJob` makes `createSparkJob`. */
  readonly noun: Noun;
  readonly plural: Plural;
  /** Segment of paths, and tag: `spark-jobs`. */
  readonly path: string;
  /** As people call one: `Spark job`. */
  readonly title: string;
  /** What a change of one, and trying one, answers beside what it does for every kind. */
  readonly changeErrors?: readonly ErrorCode[];
}

export interface ConfigurationSchemas<Create extends TSchema, Update extends TSchema, Shown extends TSchema> {
  readonly create: Create;
  readonly update: Update;
  readonly shown: Shown;
}

/** Create, list, show, update, delete: what every kind of configurations of a domain has. */
export function configurationRoutes<
  const Noun extends string,
  const Plural extends string,
  Create extends TSchema,
  Update extends TSchema,
  Shown extends TSchema,
>(
  { noun, plural, path, title, changeErrors = [] }: ConfigurationKind<Noun, Plural>,
  actions: {
    readonly create: ScopeAction;
    readonly view: AssetAction;
    readonly update: AssetAction;
    readonly delete: AssetAction;
  },
  schemas: ConfigurationSchemas<Create, Update, Shown>,
) {
  const all = `/v1/domains/{domain}/${path}`;
  const one = `${all}/{name}`;
  return [
    route({
      id: `create${noun}`,
      method: 'POST',
      path: all,
      summary: `Save a ${title}; references that are known not to resolve stop the save`,
      tag: path,
      access: { kind: 'scope', action: actions.create },
      params: domainParams,
      query: dryRunQuery,
      body: schemas.create,
      status: 201,
      response: schemas.shown,
      errors: [...saveErrors, 'already_exists', 'idempotency_mismatch'],
      idempotent: true,
    }),
    route({
      id: `list${plural}`,
      method: 'GET',
      path: all,
      summary: `The ${title}s the caller may see, by name`,
      tag: path,
      access: { kind: 'scope', action: 'domain.view' },
      params: domainParams,
      query: Closed({ ...pageQuery }),
      status: 200,
      response: Page(ConfigurationSummary),
      errors: ['cursor_invalid'],
    }),
    route({
      id: `show${noun}`,
      method: 'GET',
      path: one,
      summary: `One ${title}: plain values and references, never a secret`,
      tag: path,
      access: { kind: 'asset', action: actions.view, parameter: 'name' },
      params: named,
      status: 200,
      response: schemas.shown,
    }),
    route({
      id: `update${noun}`,
      method: 'PUT',
      path: one,
      summary: `Replace a ${title}; what may redirect a value needs USE on every reference it holds. What changes nothing keeps the revision`,
      tag: path,
      access: { kind: 'asset', action: actions.update, parameter: 'name' },
      params: named,
      query: dryRunQuery,
      body: schemas.update,
      status: 200,
      response: schemas.shown,
      errors: [...saveErrors, 'already_exists', 'revision_mismatch', 'version_conflict', ...changeErrors],
      ifMatch: true,
    }),
    route({
      id: `delete${noun}`,
      method: 'DELETE',
      path: one,
      summary: `Delete a ${title}; what it left in histories stays`,
      tag: path,
      access: { kind: 'asset', action: actions.delete, parameter: 'name' },
      params: named,
      query: Closed({ force: Type.Optional(Type.Boolean({ description: 'Although others use it' })) }),
      status: 204,
      errors: ['revision_mismatch', 'state_conflict', 'in_use'],
      ifMatch: true,
    }),
  ] as const;
}

/** Trying a form before it is saved, where a kind has something to try; a test takes a connection of the server for a while. */
export function formTestRoutes<const Noun extends string, const Plural extends string, Form extends TSchema>(
  { noun, path, title, changeErrors = [] }: ConfigurationKind<Noun, Plural>,
  actions: { readonly create: ScopeAction; readonly update: AssetAction },
  form: Form,
) {
  const all = `/v1/domains/{domain}/${path}`;
  const errors = [
    'validation_failed',
    'reference_unresolved',
    'destination_refused',
    'audit_unavailable',
    'deadline_exceeded',
  ] as const;
  return [
    route({
      id: `test${noun}Form`,
      method: 'POST',
      path: `${all}/test`,
      summary: `Try a ${title} before it is saved; nothing of it is kept`,
      tag: path,
      access: { kind: 'scope', action: actions.create },
      params: domainParams,
      body: form,
      status: 200,
      response: SurfaceTest,
      errors,
      rateLimitPerMinute: triesPerMinute,
    }),
    route({
      id: `test${noun}`,
      method: 'POST',
      path: `${all}/{name}/test`,
      summary: `Try a change of a ${title} with the credentials that it keeps; nothing of it is kept`,
      tag: path,
      access: { kind: 'asset', action: actions.update, parameter: 'name' },
      params: named,
      body: form,
      status: 200,
      response: SurfaceTest,
      errors: [...errors, ...changeErrors],
      rateLimitPerMinute: triesPerMinute,
    }),
  ] as const;
}

/** Suspending, where a kind has it. */
export function suspendRoute<const Noun extends string, const Plural extends string, Shown extends TSchema>(
  { noun, path, title }: ConfigurationKind<Noun, Plural>,
  action: AssetAction,
  shown: Shown,
) {
  return route({
    id: `suspend${noun}`,
    method: 'PATCH',
    path: `/v1/domains/{domain}/${path}/{name}`,
    summary: `Suspend a ${title}, or lift the suspension; a suspended one starts no run`,
    tag: path,
    access: { kind: 'asset', action, parameter: 'name' },
    params: named,
    body: Closed({ suspended: Type.Boolean() }),
    status: 200,
    response: shown,
    errors: ['revision_mismatch'],
    ifMatch: true,
  });
}

/** What a preflight of a configuration says of itself, whatever it is of. */
export const preflightSummary = (use: string): string =>
  `Resolve as ${use} would, throw the values away, say what each reference gave`;
export const preflightErrors = ['audit_unavailable', 'deadline_exceeded'] as const;
export const preflightsPerMinute = 60;

/** What every kind has: whether its use would get what it refers to. @param use as people call it: `a launch` */
export function preflightRoute<const Noun extends string, const Plural extends string>(
  { noun, path }: ConfigurationKind<Noun, Plural>,
  action: AssetAction,
  use: string,
) {
  return route({
    id: `preflight${noun}`,
    method: 'POST',
    path: `/v1/domains/{domain}/${path}/{name}/preflight`,
    summary: preflightSummary(use),
    tag: path,
    access: { kind: 'asset', action, parameter: 'name' },
    params: named,
    isLaunch: true,
    status: 200,
    response: Preflight,
    errors: [...preflightErrors, 'launch_refused'],
    rateLimitPerMinute: preflightsPerMinute,
  });
}

/** Preflight, start, list of runs: what every kind has that can be launched. */
export function launchableRoutes<const Noun extends string, const Plural extends string>(
  kind: ConfigurationKind<Noun, Plural>,
  actions: { readonly view: AssetAction; readonly launch: AssetAction },
) {
  const { noun, path, title } = kind;
  const one = `/v1/domains/{domain}/${path}/{name}`;
  const access = { kind: 'asset', action: actions.launch, parameter: 'name' } as const;
  return [
    preflightRoute(kind, actions.launch, 'a launch'),
    route({
      id: `run${noun}`,
      method: 'POST',
      path: `${one}/runs`,
      summary: `Start a run of a ${title}`,
      tag: path,
      access,
      params: named,
      isLaunch: true,
      status: 202,
      response: RunAccepted,
      errors: ['state_conflict', 'runner_unavailable', 'limit_exceeded', 'audit_unavailable', 'shutting_down'],
      idempotent: true,
    }),
    route({
      id: `list${noun}Runs`,
      method: 'GET',
      path: `${one}/runs`,
      summary: `Runs of a ${title}, newest first`,
      tag: path,
      access: { kind: 'asset', action: actions.view, parameter: 'name' },
      params: named,
      query: Closed({ limit: pageQuery.limit, cursor: pageQuery.cursor }),
      status: 200,
      response: Page(RunSummary),
      errors: ['cursor_invalid'],
    }),
  ] as const;
}
