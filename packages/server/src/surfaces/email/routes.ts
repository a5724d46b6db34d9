import type { emailRoutes } from '@strongroom/contract';
import type { HandlersOf } from '../../http/handler.ts';
import type { OpenEgress } from '../../integrations/connection.ts';
import { credentialState } from '../credential-fields.ts';
import type { FormTester, TestStep, TriedForm } from '../form-test.ts';
import { failedStep } from '../network-step.ts';
import { platformHandlers } from '../platform-handlers.ts';
import { adminScope } from '../platform-use.ts';
import type { ConfigurationService } from '../service.ts';
import { emailSurface } from './definition.ts';
import type { EmailDocument, EmailInput } from './document.ts';
import { MailFailure, mailSteps, sendMail } from './send.ts';

/** Handlers of the mail server. */
export function emailHandlers(
  service: ConfigurationService<EmailInput, EmailDocument>,
  tester: FormTester<EmailInput, EmailDocument>,
  openEgress: OpenEgress,
): HandlersOf<typeof emailRoutes> {
  const each = platformHandlers(service, shown, async ({ password: _password, ...settings }) => {
    const { document } = emailSurface.normalise(settings, adminScope);
    (await openEgress()).checkHost(document.host, document.port);
  });
  return {
    showEmail: each.show,
    putEmail: each.put,
    deleteEmail: each.delete,
    preflightEmail: async ({ caller, signal }) => ({
      body: await tester.preflight(caller, adminScope, 'email', signal),
    }),
    testEmail: async ({ caller, body, signal }) => {
      const { recipient, useSaved, ...input } = body;
      const saved = useSaved === true ? 'email' : undefined;
      const attempt = (form: TriedForm<EmailDocument>) => trySending(openEgress, form, recipient);
      return { body: await tester.test(caller, adminScope, { input, saved, signal }, attempt) };
    },
  };
}

function shown({ password, ...rest }: EmailDocument) {
  return { ...rest, password: credentialState(password) };
}

/** Really sends a message, and says how far it came. */
async function trySending(
  openEgress: OpenEgress,
  { document, credential, signal }: TriedForm<EmailDocument>,
  recipient: string,
): Promise<TestStep[]> {
  const password = credential('password');
  const names = mailSteps(document, password !== undefined && document.username !== undefined);
  const message = {
    to: recipient,
    subject: 'Strongroom test message',
    text: 'This mail server works: Strongroom sent this message to try its settings.\n',
  };
  try {
    await sendMail(await openEgress(), document, password, message, signal);
    return names.map((name) => ({ name, outcome: 'ok' }));
  } catch (error) {
    if (!(error instanceof MailFailure)) throw error;
    const at = Math.max(names.indexOf(error.step), 0);
    return names.map((name, index): TestStep => {
      if (index < at) return { name, outcome: 'ok' };
      return index === at ? failedStep(name, error.reason, messages[error.reason]) : { name, outcome: 'skipped' };
    });
  }
}

const messages: Readonly<Record<string, string>> = {
  'authentication-refused': 'The server refuses the user name or the password, or offers no way to sign in.',
  'sender-refused': 'The server does not take mail from this sender address.',
  'recipient-refused': 'The server does not take mail for this recipient.',
  'message-refused': 'The server refused the message.',
  throttled: 'The server asks for less mail.',
};
