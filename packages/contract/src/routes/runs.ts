import { Type } from 'typebox';
import { Id, Label, Time } from '../names.ts';
import { ActionsField, Closed, Page, pageQuery, route } from '../route.ts';
import { ConfigurationName } from '../surfaces/fields.ts';

export const runStates = ['queued', 'running', 'succeeded', 'failed', 'stopped'] as const;

/** Why a reference resolved or not; closed. */
export const resolveOutcomes = [
  'resolved',
  'missing',
  'deleted',
  'field-missing',
  'use-missing',
  'authoriser-gone',
  'not-yours',
  'source-unknown',
  'source-changed',
  'source-unavailable',
  'source-denied',
  'source-sealed',
  'source-throttled',
  'source-malformed',
  'key-unavailable',
  'invalid-value',
  'feature-disabled',
  'deadline',
  'withheld',
] as const;
export type ResolveOutcome = (typeof resolveOutcomes)[number];

const RunState = Type.Enum([...runStates]);
const Outcome = Type.Enum([...resolveOutcomes], {
  description: 'withheld: it resolved, but another reference did not, so nothing was delivered',
});

const runFields = {
  id: Id,
  job: Closed({ id: Id, name: Type.String(), surface: Type.String() }),
  state: RunState,
  startedBy: Type.String(),
  runner: Type.String(),
  createdAt: Time,
  startedAt: Type.Optional(Time),
  endedAt: Type.Optional(Time),
  durationMilliseconds: Type.Optional(Type.Integer()),
  exitCode: Type.Optional(Type.Integer()),
  signal: Type.Optional(Type.String()),
  failure: Type.Optional(Closed({ code: Type.String(), detail: Type.String() })),
};

/** What a launch recorded about one variable; never a value. */
const VariableReceipt = Closed({
  name: Type.String(),
  pointer: Type.String(),
  reference: Type.String(),
  source: Type.String(),
  version: Type.Optional(Type.String()),
  outcome: Outcome,
  cause: Type.Optional(Type.String({ description: 'Of what did not resolve' })),
  fixableBy: Type.Optional(Type.Array(Type.String())),
  milliseconds: Type.Integer({ description: 'How long its source took' }),
  unmasked: Type.Optional(Type.String({ description: 'Why the log does not mask it' })),
});

export const RunSummary = Closed(runFields);
const Run = Closed({
  ...runFields,
  variables: Type.Array(VariableReceipt),
  log: Closed({ bytes: Type.Integer(), cut: Type.Boolean({ description: 'The middle of the log was cut' }) }),
  actions: ActionsField,
});

export const RunAccepted = Closed({ id: Id, state: RunState });

const PreflightReference = Closed({
  name: Type.String(),
  pointer: Type.String(),
  reference: Type.String(),
  source: Type.String(),
  version: Type.Optional(Type.String()),
  outcome: Outcome,
  cause: Type.Optional(Type.String()),
  fixableBy: Type.Optional(Type.Array(Type.String())),
});

export const Preflight = Closed({
  ok: Type.Boolean(),
  references: Type.Array(PreflightReference),
  problems: Type.Array(Type.String(), { description: 'What else would stop the launch' }),
});

const Problem = Closed({ code: Type.String(), detail: Type.String() });

const Redeployed = Closed({
  outcome: Type.Enum(['started', 'current', 'refused', 'reported'], {
    description:
      'current: nothing to do, no running launch of it holds an older version or a newer run is there already; ' +
      'reported: the launch of a workload, which only its owner can start anew',
  }),
  job: Type.Optional(Type.String({ description: 'The configuration, whatever its kind' })),
  surface: Type.Optional(Type.String()),
  launch: Type.Optional(Type.String({ description: 'Of a launch that was named or is a workload’s' })),
  run: Type.Optional(Id),
  problem: Type.Optional(Problem),
  old: Type.Array(
    Closed({
      launch: Id,
      outcome: Type.Enum(['running', 'stopping', 'ended', 'refused'], {
        description: 'refused: stopping it was asked for, and it runs on',
      }),
      problem: Type.Optional(Problem),
    }),
    { description: 'Launches that hold an older version' },
  ),
});

/** Names that one call of `redeployDrift` takes, and jobs that it starts. */
export const maxRedeployed = 100;

const runParams = Closed({ domain: Label, id: Id });
const reason = { kind: 'scope', action: 'domain.view' } as const;

export const runRoutes = [
  route({
    id: 'listRuns',
    method: 'GET',
    path: '/v1/domains/{domain}/runs',
    summary: 'Runs of the jobs the caller may see, newest first',
    tag: 'runs',
    access: reason,
    params: Closed({ domain: Label }),
    query: Closed({ limit: pageQuery.limit, cursor: pageQuery.cursor, state: Type.Optional(RunState) }),
    status: 200,
    response: Page(RunSummary),
    errors: ['cursor_invalid'],
  }),
  route({
    id: 'showRun',
    method: 'GET',
    path: '/v1/domains/{domain}/runs/{id}',
    summary: 'One run: state, variables with reference, source, version and outcome',
    tag: 'runs',
    access: reason,
    params: runParams,
    status: 200,
    response: Run,
    errors: ['not_found'],
  }),
  route({
    id: 'showRunLog',
    method: 'GET',
    path: '/v1/domains/{domain}/runs/{id}/log',
    summary: 'The redacted output of a run; with follow=true until it ends',
    tag: 'runs',
    access: reason,
    params: runParams,
    query: Closed({ follow: Type.Optional(Type.Boolean()) }),
    status: 200,
    raw: { mediaType: 'text/plain; charset=utf-8', description: 'stdout and stderr as they came, values masked' },
    errors: ['not_found', 'state_conflict', 'log_gone'],
  }),
  route({
    id: 'stopRun',
    method: 'POST',
    path: '/v1/domains/{domain}/runs/{id}/stop',
    summary: 'Stop a run: SIGTERM to its process group, SIGKILL ten seconds later',
    tag: 'runs',
    access: reason,
    params: runParams,
    status: 202,
    response: RunAccepted,
    errors: ['not_found', 'permission_missing', 'state_conflict'],
  }),
  route({
    id: 'redeployDrift',
    method: 'POST',
    path: '/v1/domains/{domain}/drift/redeploy',
    summary:
      'Start anew the jobs whose running launches hold an older version; each needs RUN, and is answered for itself',
    tag: 'runs',
    access: reason,
    params: Closed({ domain: Label }),
    body: Closed({
      sparkJobs: Type.Optional(Type.Array(Label, { minItems: 1, maxItems: maxRedeployed, uniqueItems: true })),
      configurations: Type.Optional(
        Type.Array(ConfigurationName, { minItems: 1, maxItems: maxRedeployed, uniqueItems: true }),
      ),
      launches: Type.Optional(Type.Array(Id, { minItems: 1, maxItems: maxRedeployed, uniqueItems: true })),
      all: Type.Optional(Type.Literal(true, { description: 'Whatever is listed as drifted; names nothing else' })),
      stopOld: Type.Optional(
        Type.Boolean({ description: 'Stop what holds the older version once the new run has started' }),
      ),
    }),
    isLaunch: true,
    status: 200,
    response: Closed({
      items: Type.Array(Redeployed),
      isComplete: Type.Boolean({ description: 'false: more is drifted than one call starts; call again' }),
    }),
    errors: ['validation_failed', 'audit_unavailable', 'shutting_down'],
    // Counts as one launch and starts up to a hundred.
    rateLimitPerMinute: 60,
  }),
] as const;
