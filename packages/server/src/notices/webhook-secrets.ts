import type { Egress } from '@strongroom/backends/egress';
import { parseReference, StrongroomError } from '@strongroom/contract';
import type { SecretValue } from '@strongroom/crypto';
import type { ScopeRef } from '../access/types.ts';
import { type PlatformReference, withPlatformValues } from '../launches/platform-reference.ts';
import type { LaunchSubject, Resolver } from '../launches/resolve.ts';
import type { Store } from '../store/store.ts';
import type { NoticeSettingsRow } from './commands.ts';
import { postWebhook, requireHttps, requireTaken, signingKey, type WebhookMessage } from './webhook.ts';

/** Where the references are in the settings. */
export const signingPointer = '/webhook/signingSecret';
export const addressPointer = '/webhook/urlSecret';

/** What an address has at most, as where it is typed. */
const maxAddressLength = 2048;
const addressPattern = /^https?:\/\/[!-~]+$/;

interface Sending {
  readonly scope: ScopeRef;
  readonly subject: LaunchSubject;
  readonly signal: AbortSignal;
}

/**
 * Sends to the webhook of a scope. What it is signed with, and the address where that is a secret, too, are resolved as a launch
 * does, recorded before they are used, and gone when it has ended. Of an address that is a secret no error has a word.
 * @throws StrongroomError `reference_unresolved`, what a source that is away says, `state_conflict`, `audit_unavailable`,
 * of the egress guard; `backend_unavailable` for every status but 2xx
 */
export async function sendWebhook(
  parts: { readonly store: Store; readonly resolver: Resolver },
  egress: Egress,
  settings: NoticeSettingsRow,
  message: WebhookMessage,
  { scope, subject, signal }: Sending,
): Promise<void> {
  const { key, address } = await withPlatformValues(
    parts,
    { verb: 'surface.use', scope, subject, signal },
    referencesOf(settings),
    ([signing, secretAddress]) => {
      if (signing === undefined) throw new TypeError('There is no value');
      const text = secretAddress === undefined ? null : addressOf(secretAddress);
      return { key: signingKey(signing), address: text };
    },
  );
  try {
    const status =
      address === null
        ? await postWebhook(egress, settings.webhook_url ?? '', key, message, signal)
        : await withoutAddress(() => {
            requireHttps(egress.checkUrl(address, { schemes: ['https', 'http'] }));
            return postWebhook(egress, address, key, message, signal);
          });
    requireTaken(status);
  } finally {
    key.fill(0);
  }
}

function referencesOf(settings: NoticeSettingsRow): PlatformReference[] {
  const { signing_reference, signing_source_id, url_reference, url_source_id, authorised_by: authorisedBy } = settings;
  return [
    {
      name: 'signing secret',
      pointer: signingPointer,
      reference: parseReference(signing_reference ?? ''),
      sourceId: signing_source_id,
      authorisedBy,
    },
    ...(url_reference === null
      ? []
      : [
          {
            name: 'address of the webhook',
            pointer: addressPointer,
            reference: parseReference(url_reference),
            sourceId: url_source_id,
            authorisedBy,
          },
        ]),
  ];
}

/** @throws StrongroomError `state_conflict`, without a word of the value */
function addressOf(value: SecretValue): string {
  const text = Buffer.from(value.reveal()).toString('latin1').trim();
  if (text.length <= maxAddressLength && addressPattern.test(text)) return text;
  throw new StrongroomError('state_conflict', { detail: 'The secret of the webhook’s address holds no http address.' });
}

/** Its host may be a part of what is secret: what went wrong is said without it. */
async function withoutAddress<Result>(send: () => Promise<Result>): Promise<Result> {
  try {
    return await send();
  } catch (error) {
    if (!(error instanceof StrongroomError)) throw error;
    throw new StrongroomError(error.code, {
      detail: 'The webhook could not be reached at the address that its secret holds.',
    });
  }
}
