/** Where Google exchanges a service account's assertion for a token, and the audience of that assertion. */
export const googleTokenUrl = 'https://oauth2.googleapis.com/token';

/** What is used of a service account's key: https://cloud.google.com/iam/docs/keys-create-delete#creating. */
export interface ServiceAccountKey {
  readonly clientEmail: string;
  readonly privateKeyId: string | undefined;
  /** PKCS #8, PEM. */
  readonly privateKey: string;
}

const emailPattern = /^[A-Za-z0-9._-]{1,128}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,6}$/;
const keyIdPattern = /^[A-Za-z0-9_-]{1,128}$/;
const pemPattern = /^-----BEGIN PRIVATE KEY-----[A-Za-z0-9+/=\s]+-----END PRIVATE KEY-----\s*$/;

/**
 * Reads a service account's key. Other kinds of Google's credential files say where tokens are fetched from, which programs
 * are run for them and which files are read: they are refused, and so is a key that names another token endpoint than Google's
 * (https://cloud.google.com/docs/authentication/external/externally-sourced-credentials).
 *
 * @returns the key, or what is wrong with it in words that hold nothing of it
 */
export function readServiceAccountKey(text: string): ServiceAccountKey | string {
  const json = parsed(text);
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return 'is no JSON object';
  const of = (name: string): unknown => (Object.hasOwn(json, name) ? Reflect.get(json, name) : undefined);
  if (of('type') !== 'service_account')
    return 'is no key of a service account: only the type service_account is taken, no other credential file';
  if (of('token_uri') !== googleTokenUrl) return `has another token_uri than ${googleTokenUrl}`;
  if (!['googleapis.com', undefined].includes(of('universe_domain') as string | undefined))
    return 'is of another universe_domain than googleapis.com';
  const [clientEmail, privateKeyId, privateKey] = [of('client_email'), of('private_key_id'), of('private_key')];
  if (typeof clientEmail !== 'string' || !emailPattern.test(clientEmail)) return 'has no valid client_email';
  if (typeof privateKey !== 'string' || !pemPattern.test(privateKey)) return 'has no private_key in PEM (PKCS #8)';
  if (privateKeyId === undefined) return { clientEmail, privateKeyId, privateKey };
  if (typeof privateKeyId !== 'string' || !keyIdPattern.test(privateKeyId)) return 'has no valid private_key_id';
  return { clientEmail, privateKeyId, privateKey };
}

/** What is wrong with a service account's key; `null`: nothing that its text shows. */
export function serviceAccountKeyProblem(text: string): string | null {
  const key = readServiceAccountKey(text);
  return typeof key === 'string' ? key : null;
}

/** `undefined` for what is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
