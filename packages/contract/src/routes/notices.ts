import { type TProperties, Type } from 'typebox';
import { Id, Label, Time } from '../names.ts';
import { scopeKinds } from '../roles.ts';
import { ActionsField, Closed, Page, pageQuery, route } from '../route.ts';
import { MailAddress } from '../surfaces/email.ts';
import { SecretInput } from '../surfaces/fields.ts';
import { SurfaceTest } from '../surfaces/test-steps.ts';
import { formKeyword } from '../surfaces/unresolved-fields.ts';

/** Days ahead of an expiry that its notice goes out, where a scope does not say. */
export const defaultExpiryLeadDays = 14;

const recipients = Type.Array(MailAddress, {
  maxItems: 20,
  uniqueItems: true,
  description: 'Each gets mail of its own',
});
const url = Type.String({
  minLength: 1,
  maxLength: 2048,
  pattern: '^https?://[!-~]+$',
  description: 'https, or http on this machine. It is no secret: whoever may manage the scope reads it; else urlSecret',
});
const expiryLeadDays = Type.Integer({
  minimum: 1,
  maximum: 365,
  default: defaultExpiryLeadDays,
  description: 'How long before an expiry its notice goes out; a rotation’s goes out when it is due',
});

const NoticeSettings = Closed(
  {
    scope: Type.Enum([...scopeKinds]),
    domain: Type.Optional(Label),
    recipients,
    webhook: Type.Optional(
      Closed({
        url: Type.Optional(url),
        urlSecret: Type.Optional(Type.String({ description: 'Reference, canonical, to the address' })),
        signingSecret: Type.String({ description: 'Reference, canonical' }),
      }),
    ),
    expiryLeadDays,
    revision: Type.Integer(),
    updatedAt: Time,
    updatedBy: Type.String(),
    actions: ActionsField,
  },
  { description: 'Who is told of expiries and due rotations in a scope' },
);

const Delivery = Closed({
  channel: Type.Enum(['mail', 'webhook']),
  to: Type.Optional(Type.String({ description: 'The address, of mail' })),
  state: Type.Enum(['pending', 'delivered', 'failed', 'obsolete'], {
    description:
      'failed: given up after all attempts. obsolete: not sent, since the secret was rotated, changed or deleted before, or nobody is to be told there any more',
  }),
  attempts: Type.Integer(),
  nextAttemptAt: Type.Optional(Time),
  attemptedAt: Type.Optional(Time),
  deliveredAt: Type.Optional(Time),
  problem: Type.Optional(Type.String({ description: 'Why the last attempt failed' })),
});

const Notice = Closed(
  {
    id: Id,
    kind: Type.Enum(['expiry', 'rotation']),
    key: Type.String(),
    dueAt: Time,
    createdAt: Time,
    deliveries: Type.Array(Delivery),
  },
  { description: 'What was told about one due date of one secret' },
);

function noticeRoutesUnder<const Kind extends 'Admin' | 'Global' | 'Domain', const Scope extends TProperties>(
  kind: Kind,
  base: string,
  scope: Scope,
) {
  const manage = { kind: 'scope', action: 'secret.manage' } as const;
  // The Global store works whatever the flag says.
  const feature = kind === 'Global' ? undefined : 'secretsV2';
  const shared = { tag: 'notices', access: manage, feature, params: Closed({ ...scope }) } as const;
  const settings = `${base}/notices/settings`;
  return [
    route({
      id: `show${kind}NoticeSettings`,
      method: 'GET',
      path: settings,
      summary: 'Who is told of expiries and due rotations; 404 while nobody is',
      ...shared,
      status: 200,
      response: NoticeSettings,
      errors: ['not_configured'],
    }),
    route({
      id: `put${kind}NoticeSettings`,
      method: 'PUT',
      path: settings,
      summary:
        'Say who is told of expiries and due rotations, in place of what was said; secrets of the webhook need USE',
      ...shared,
      body: Closed(
        {
          recipients: Type.Optional(recipients),
          webhook: Type.Optional(
            Closed({
              url: Type.Optional(url),
              // In place of the address, where a part of it is a credential.
              urlSecret: Type.Optional(SecretInput),
              signingSecret: SecretInput,
            }),
          ),
          expiryLeadDays: Type.Optional(expiryLeadDays),
        },
        { [formKeyword]: 'notices' },
      ),
      status: 200,
      response: NoticeSettings,
      ifMatch: true,
      errors: ['reference_unresolved', 'permission_missing', 'egress_denied', 'revision_mismatch', 'version_conflict'],
    }),
    route({
      id: `delete${kind}NoticeSettings`,
      method: 'DELETE',
      path: settings,
      summary: 'Tell nobody any more; what was not sent yet is not sent',
      ...shared,
      status: 204,
      ifMatch: true,
      errors: ['not_configured', 'revision_mismatch'],
    }),
    route({
      id: `test${kind}NoticeSettings`,
      method: 'POST',
      path: `${settings}/test`,
      summary: 'Send a test to everybody who is told, by the way that notices go',
      ...shared,
      status: 200,
      response: SurfaceTest,
      errors: ['not_configured', 'audit_unavailable'],
      rateLimitPerMinute: 30,
    }),
    route({
      id: `list${kind}Notices`,
      method: 'GET',
      path: `${base}/notices`,
      summary: 'What was told, newest first, and what became of it',
      ...shared,
      query: Closed({ limit: pageQuery.limit, cursor: pageQuery.cursor }),
      status: 200,
      response: Page(Notice),
      errors: ['cursor_invalid'],
    }),
  ] as const;
}

export const adminNoticeRoutes = noticeRoutesUnder('Admin', '/v1/admin', {});
export const globalNoticeRoutes = noticeRoutesUnder('Global', '/v1/global', {});
export const domainNoticeRoutes = noticeRoutesUnder('Domain', '/v1/domains/{domain}', { domain: Label });
