import { StrongroomError } from '@strongroom/contract';
import type { OpenEgress } from '../../integrations/connection.ts';
import type { LaunchSubject } from '../../launches/resolve.ts';
import { platformSubject, type PlatformUse } from '../platform-use.ts';
import type { EmailDocument } from './document.ts';
import { MailFailure, type Message, sendMail } from './send.ts';

/** Sends the product's own mail. */
export interface Mailer {
  /** Whether a mail server is configured. */
  isConfigured(): Promise<boolean>;
  /**
   * Sends one message; the password is resolved for it, audited, and dropped. It is not tried again here.
   * @throws StrongroomError `state_conflict` while no mail server is configured; `backend_unavailable` with step and cause;
   * `reference_unresolved`; `validation_failed` for a subject of more lines
   */
  send(message: Message, subject?: LaunchSubject): Promise<void>;
}

/** For one message. */
const deadlineMilliseconds = 30_000;

export function createMailer(use: PlatformUse<EmailDocument>, openEgress: OpenEgress): Mailer {
  return {
    isConfigured: async () => (await use.saved()) !== null,
    async send(message, subject = platformSubject) {
      // oxlint-disable-next-line no-control-regex -- what a header may not have is what is looked for
      if (/[\u0000-\u001f\u007f]/.test(message.subject) || /[\s<>,]/.test(message.to))
        throw new StrongroomError('validation_failed', {
          detail: 'A subject is one line, and a recipient one address.',
        });
      const egress = await openEgress();
      const signal = AbortSignal.timeout(deadlineMilliseconds);
      const sent = await use.use(subject, signal, async ({ document, credential }) => {
        try {
          await sendMail(egress, document, credential('password'), message, signal);
        } catch (error) {
          if (!(error instanceof MailFailure)) throw error;
          throw new StrongroomError('backend_unavailable', {
            detail: `The mail server: ${error.step}: ${error.reason}.`,
            hint: 'strongroom email test says where it fails.',
          });
        }
        return true;
      });
      if (sent === null)
        throw new StrongroomError('state_conflict', {
          detail: 'No mail server is configured.',
          hint: 'Configure one with strongroom email apply.',
        });
    },
  };
}
