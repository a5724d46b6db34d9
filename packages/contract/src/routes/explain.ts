import { Type } from 'typebox';
import { Label } from '../names.ts';
import { maxReferenceLength } from '../reference.ts';
import { Closed, route } from '../route.ts';
import { PrincipalName } from './access.ts';

/** The links of the chain, in the order they are walked; of a configuration that is used, those of each reference again. */
export const explainLinks = [
  'principal',
  'domain',
  'catalogue',
  'assignment',
  'permission',
  'bundle',
  'state',
  'feature',
  'storage',
  'authoriser',
  'version',
  'destination',
  'integration',
  'backend',
  'runner',
] as const;
export type ExplainLink = (typeof explainLinks)[number];

export const explainOutcomes = ['allow', 'deny', 'unknown'] as const;
export type ExplainOutcome = (typeof explainOutcomes)[number];

const Outcome = Type.Enum([...explainOutcomes]);

const Explanation = Closed({
  principal: Type.String(),
  action: Type.String({ description: 'As asked' }),
  domain: Type.Union([Type.String(), Type.Null()]),
  subject: Type.Union([Type.String(), Type.Null()], { description: 'Canonical reference, or TYPE/NAME' }),
  verdict: Outcome,
  links: Type.Array(
    Closed({
      link: Type.Enum([...explainLinks]),
      name: Type.String({
        description: 'What the link is about: a principal, a domain, a permission, a bundle, a source',
      }),
      outcome: Outcome,
      because: Type.Array(Type.String(), { description: 'The closed vocabulary of the guide to permissions' }),
      detail: Type.String({ description: 'The same in words' }),
      fixableBy: Type.Array(Type.String(), {
        description: 'Who can change a link that denies: principals the caller may list, else a role or permission',
      }),
      at: Type.Optional(
        Closed(
          {
            pointer: Type.String({ description: 'RFC 6901, into the configuration' }),
            field: Type.String({ description: 'The variable, property or file' }),
            reference: Type.String({ description: 'Canonical' }),
          },
          { description: 'The reference of a configuration that the link is about, where its use is asked about' },
        ),
      ),
    }),
  ),
});

export const explainRoutes = [
  route({
    id: 'explain',
    method: 'POST',
    path: '/v1/explain',
    summary:
      'Walk the chain that allows or denies something, and say who can change the link that denies. Reads no value',
    tag: 'access',
    access: {
      kind: 'authenticated',
      reason: 'About the caller itself in a domain it sees; about others only with access.view there',
    },
    body: Closed({
      principal: Type.Optional(PrincipalName),
      action: Type.String({
        maxLength: 64,
        description: 'use, run, view, manage, list, resolve, or an action of the table',
        examples: ['use'],
      }),
      domain: Type.Optional(Label),
      reference: Type.Optional(Type.String({ maxLength: maxReferenceLength })),
      asset: Type.Optional(
        Type.String({
          pattern: '^[a-z-]{1,32}/[A-Za-z0-9][A-Za-z0-9._-]{0,252}$',
          description: 'TYPE/NAME',
          examples: ['spark-job/nightly-report'],
        }),
      ),
    }),
    status: 200,
    response: Explanation,
    errors: ['not_found', 'permission_missing', 'reference_malformed', 'audit_unavailable'],
    rateLimitPerMinute: 120,
  }),
] as const;
