import { StrongroomError } from '@strongroom/contract';
import type { DirectorySignIn } from '../../identities/sign-in.ts';
import type { OpenEgress } from '../../integrations/connection.ts';
import { platformSubject, type PlatformUse } from '../platform-use.ts';
import { type DirectoryConnection, withDirectory } from './directory.ts';
import { LdapFailure } from './failure.ts';
import type { LdapDocument } from './document.ts';

const deadlineMilliseconds = 10_000;
/** One entry is found, or refused. */
const maxAnswerBytes = 1024 * 1024;

/** Signing in by bind: the directory finds the entry by its name, then takes the password or not. */
export function createLdapSignIn(use: PlatformUse<LdapDocument>, openEgress: OpenEgress): DirectorySignIn {
  return async ({ name, directoryId, password, origin }) => {
    // A directory takes an empty password for nobody's and says yes (RFC 4513 §5.1.2).
    if (password === '') return false;
    const signal = AbortSignal.timeout(deadlineMilliseconds);
    const egress = await openEgress();
    const connected = <Result>(document: LdapDocument, work: (connection: DirectoryConnection) => Promise<Result>) =>
      withDirectory(egress, document, signal, work, maxAnswerBytes);
    try {
      const isRight = await use.use({ ...platformSubject, ...origin }, signal, ({ document, credential }) =>
        connected(document, async (connection) => {
          await connection.bind(document.bindDn, credential('bindCredential'));
          const { items } = await connection.users([name]);
          const [entry, second] = items;
          // Somebody else may have got the name since the last sync.
          if (entry === undefined || second !== undefined || entry.id !== directoryId) return false;
          return connected(document, (own) => isTaken(own.bind(entry.dn, password)));
        }),
      );
      return isRight ?? false;
    } catch (error) {
      if (!(error instanceof LdapFailure)) throw error;
      throw new StrongroomError('backend_unavailable', {
        detail: `The directory could not be asked: ${error.step}: ${error.reason}.`,
      });
    }
  };
}

async function isTaken(bind: Promise<void>): Promise<boolean> {
  try {
    await bind;
    return true;
  } catch (error) {
    const isRefused =
      error instanceof LdapFailure &&
      (error.reason === 'authentication-refused' || error.reason === 'permission-refused');
    if (!isRefused) throw error;
    return false;
  }
}
