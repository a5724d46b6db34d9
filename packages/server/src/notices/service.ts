import { defaultExpiryLeadDays, formatReference, type Reference, StrongroomError } from '@strongroom/contract';
import { type PageOf, type PageRequest, readPage } from '../access/pages.ts';
import { type ActionAnswer, actionsOn } from '../access/refusal.ts';
import type { AccessService } from '../access/service.ts';
import type { Caller, ScopeRef } from '../access/types.ts';
import type { AuditEvent } from '../audit/event.ts';
import { actorOf } from '../identities/actor.ts';
import type { OpenEgress } from '../integrations/connection.ts';
import type { Keys } from '../keys/keys.ts';
import { referenceError } from '../launches/outcomes.ts';
import type { Resolver } from '../launches/resolve.ts';
import { decideUse, findTarget } from '../launches/targets.ts';
import { newId } from '../store/ids.ts';
import type { Store } from '../store/store.ts';
import { FieldProblems } from '../surfaces/definition.ts';
import type { Mailer } from '../surfaces/email/mailer.ts';
import type { TestResult, TestStep } from '../surfaces/form-test.ts';
import { readReference, type SecretInput } from '../surfaces/reference-input.ts';
import { timeText } from '../surfaces/views.ts';
import { type HeldReference, nobodyTold, type NoticeSettingsRow, type PutNoticeSettings } from './commands.ts';
import { testMail, testWebhook } from './message.ts';
import type { ListedNotice } from './queries.ts';
import { problemOf } from './sender.ts';
import { requireHttps } from './webhook.ts';
import { addressPointer, sendWebhook, signingPointer } from './webhook-secrets.ts';

/** One of `url` and `urlSecret`. */
interface WebhookInput {
  readonly url?: string | undefined;
  readonly urlSecret?: SecretInput | undefined;
  readonly signingSecret: SecretInput;
}

/** As read, with one of the two. */
interface ReadWebhook {
  readonly url: string | Reference;
  readonly signing: Reference;
}

export interface NoticeSettingsInput {
  readonly recipients?: readonly string[] | undefined;
  readonly webhook?: WebhookInput | undefined;
  readonly expiryLeadDays?: number | undefined;
}

export interface NoticeSettingsView {
  readonly scope: ScopeRef['kind'];
  readonly domain?: string;
  readonly recipients: string[];
  readonly webhook?: { readonly url?: string; readonly urlSecret?: string; readonly signingSecret: string };
  readonly expiryLeadDays: number;
  readonly revision: number;
  readonly updatedAt: string;
  readonly updatedBy: string;
  readonly actions: ActionAnswer[];
}

export interface NoticesParts {
  readonly store: Store;
  readonly access: AccessService;
  readonly keys: Pick<Keys, 'sealCursor' | 'openCursor'>;
  readonly resolver: Resolver;
  readonly mailer: Mailer;
  readonly egress: OpenEgress;
}

/** Who is told of expiries and due rotations of a scope's secrets, and what they were told. */
export class Notices {
  readonly #parts: NoticesParts;

  constructor(parts: NoticesParts) {
    this.#parts = parts;
  }

  /** @throws StrongroomError `not_configured` while nobody is told */
  async settings(caller: Caller, scope: ScopeRef): Promise<NoticeSettingsView> {
    const row = await this.#require(scope);
    return {
      scope: scope.kind,
      ...(scope.kind === 'domain' ? { domain: scope.name } : {}),
      recipients: JSON.parse(row.recipients) as string[],
      ...(row.signing_reference === null ? {} : { webhook: webhookView(row, row.signing_reference) }),
      expiryLeadDays: row.expiry_lead_days,
      revision: row.revision,
      updatedAt: timeText(row.updated_at),
      updatedBy: row.updated_by,
      actions: actionsOn(caller.snapshot, ['secret.manage'], { kind: 'scope', scope }),
    };
  }

  /**
   * In place of what was said before.
   * @throws StrongroomError `validation_failed`, `egress_denied`, `revision_mismatch`; `reference_unresolved` for a signing
   * secret that the caller may not use
   */
  async put(
    caller: Caller,
    scope: ScopeRef,
    input: NoticeSettingsInput,
    ifMatch: number | undefined,
  ): Promise<NoticeSettingsView> {
    const { recipients = [], expiryLeadDays = defaultExpiryLeadDays } = input;
    const problems = new FieldProblems();
    if (recipients.length === 0 && input.webhook === undefined)
      problems.add('/recipients', 'Name a recipient or a webhook; to tell nobody, delete the settings.');
    const read = input.webhook === undefined ? undefined : readWebhook(input.webhook, problems, scope);
    problems.refuse('notice settings');
    const { store, access } = this.#parts;
    return access.decided(caller, async (current) => {
      // Decided with the current snapshot: the guard's may be of before a change.
      await access.require(current, 'secret.manage', { kind: 'scope', scope });
      const webhook = read === undefined ? null : await this.#webhook(current, scope, read);
      const because = [
        'notices',
        'put',
        ...(recipients.length > 0 ? ['mail'] : []),
        ...(webhook === null ? [] : ['webhook']),
      ];
      const args: PutNoticeSettings = {
        scopeId: scope.id,
        expectedRevision: ifMatch ?? null,
        recipients,
        webhook,
        authorisedBy: caller.id,
        expiryLeadDays,
        by: caller.name,
      };
      await store.execute('notices.putSettings', args, {
        audit: [noticesEvent(caller, scope, because)],
        expectAuthorisationRevision: current.snapshot.revision,
      });
      return this.settings(current, scope);
    });
  }

  /** @throws StrongroomError `not_configured`, `revision_mismatch` */
  async delete(caller: Caller, scope: ScopeRef, ifMatch: number | undefined): Promise<void> {
    await this.#parts.store.execute(
      'notices.deleteSettings',
      { scope, expectedRevision: ifMatch ?? null },
      { audit: [noticesEvent(caller, scope, ['notices', 'delete'])] },
    );
  }

  /** Sends a test to everybody, each a step. @throws StrongroomError `not_configured`, `audit_unavailable` */
  async test(caller: Caller, scope: ScopeRef, signal: AbortSignal): Promise<TestResult> {
    const row = await this.#require(scope);
    const { store, mailer } = this.#parts;
    await store.execute('access.record', undefined, { audit: [noticesEvent(caller, scope, ['notices', 'test'])] });
    const steps: TestStep[] = [];
    for (const recipient of JSON.parse(row.recipients) as string[])
      steps.push(await stepOf(`mail ${recipient}`, () => mailer.send(testMail(recipient, scope), caller)));
    if (row.signing_reference !== null) {
      const message = testWebhook(newId('notice'), scope, Date.now());
      const post = async (): Promise<void> => {
        const egress = await this.#parts.egress();
        await sendWebhook(this.#parts, egress, row, message, { scope, subject: caller, signal });
      };
      steps.push(await stepOf('webhook', post));
    }
    return { ok: steps.every(({ outcome }) => outcome !== 'failed'), steps };
  }

  /** @throws StrongroomError `cursor_invalid` */
  async list(caller: Caller, scope: ScopeRef, request: PageRequest): Promise<PageOf<NoticeView>> {
    return readPage(this.#parts.keys, caller, ['notices', scope.id], request, {
      read: (args) => this.#parts.store.query('notices.list', { ...args, scopeId: scope.id }),
      positionOf: ({ notice }) => [notice.id],
      toItem: noticeView,
    });
  }

  async #webhook(
    caller: Caller,
    scope: ScopeRef,
    { url, signing }: ReadWebhook,
  ): Promise<NonNullable<PutNoticeSettings['webhook']>> {
    if (typeof url !== 'string')
      return {
        url: await this.#held(caller, scope, url, addressPointer, 'address of the webhook'),
        signing: await this.#held(caller, scope, signing, signingPointer, 'signing secret'),
      };
    const checked = (await this.#parts.egress()).checkUrl(url, { schemes: ['https', 'http'] });
    requireHttps(checked);
    return { url: checked.href, signing: await this.#held(caller, scope, signing, signingPointer, 'signing secret') };
  }

  /** A reference that the caller may use. */
  async #held(
    caller: Caller,
    scope: ScopeRef,
    reference: Reference,
    pointer: string,
    name: string,
  ): Promise<HeldReference> {
    const { store, access } = this.#parts;
    const target = await findTarget(store, scope, reference);
    const { failure } = await decideUse(access, caller.snapshot, scope, reference, target);
    if (failure !== null || target.source === null) {
      const place = { domain: scope.name, reference, pointer, name };
      const error = referenceError(failure ?? 'source-unknown', place);
      throw new StrongroomError(error.code === 'permission_missing' ? 'permission_missing' : 'reference_unresolved', {
        detail: `The ${name} can not be used.`,
        errors: [error],
      });
    }
    return { reference: formatReference(reference), sourceId: target.source.id, key: reference.key };
  }

  async #require(scope: ScopeRef): Promise<NoticeSettingsRow> {
    const row = await this.#parts.store.db
      .selectFrom('notice_settings')
      .selectAll()
      .where('scope_id', '=', scope.id)
      .executeTakeFirst();
    if (row === undefined) throw nobodyTold(scope);
    return row;
  }
}

function readWebhook(
  { url, urlSecret, signingSecret }: WebhookInput,
  problems: FieldProblems,
  scope: ScopeRef,
): ReadWebhook | undefined {
  if ((url === undefined) === (urlSecret === undefined))
    problems.add('/webhook/url', 'Give url, or urlSecret where the address is a secret; one of the two.');
  const signing = readReference(signingSecret, signingPointer, problems, scope);
  const address = urlSecret === undefined ? url : readReference(urlSecret, addressPointer, problems, scope);
  return signing === undefined || address === undefined ? undefined : { url: address, signing };
}

function webhookView(
  { webhook_url: url, url_reference: urlSecret }: NoticeSettingsRow,
  signingSecret: string,
): NonNullable<NoticeSettingsView['webhook']> {
  return {
    ...(url === null ? {} : { url }),
    ...(urlSecret === null ? {} : { urlSecret }),
    signingSecret,
  };
}

async function stepOf(name: string, send: () => Promise<void>): Promise<TestStep> {
  try {
    await send();
    return { name, outcome: 'ok' };
  } catch (error) {
    return { name, outcome: 'failed', message: problemOf(error) };
  }
}

export interface NoticeView {
  readonly id: string;
  readonly kind: 'expiry' | 'rotation';
  readonly key: string;
  readonly dueAt: string;
  readonly createdAt: string;
  readonly deliveries: {
    readonly channel: 'mail' | 'webhook';
    readonly to?: string;
    readonly state: 'pending' | 'delivered' | 'failed' | 'obsolete';
    readonly attempts: number;
    readonly nextAttemptAt?: string;
    readonly attemptedAt?: string;
    readonly deliveredAt?: string;
    readonly problem?: string;
  }[];
}

function noticeView({ notice, deliveries }: ListedNotice): NoticeView {
  return {
    id: notice.id,
    kind: notice.kind,
    key: notice.key,
    dueAt: timeText(notice.due_at),
    createdAt: timeText(notice.created_at),
    deliveries: deliveries.map((row) => ({
      channel: row.channel,
      ...(row.channel === 'mail' ? { to: row.recipient } : {}),
      state: row.state,
      attempts: row.attempts,
      ...(row.state === 'pending' ? { nextAttemptAt: timeText(row.next_at) } : {}),
      ...(row.attempted_at === null ? {} : { attemptedAt: timeText(row.attempted_at) }),
      ...(row.delivered_at === null ? {} : { deliveredAt: timeText(row.delivered_at) }),
      ...(row.problem === null ? {} : { problem: row.problem }),
    })),
  };
}

function noticesEvent(caller: Caller, scope: ScopeRef, because: readonly string[]): AuditEvent {
  return {
    ...actorOf(caller),
    action: 'secret.manage',
    outcome: 'allowed',
    scope: { id: scope.id, name: scope.name },
    object: { type: 'notices', id: scope.id, name: scope.name },
    because,
  };
}
