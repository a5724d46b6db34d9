import { isPlaceholderIn, parseText, type ReferenceObject } from '@strongroom/contract';
import { SecretValue } from '@strongroom/crypto';
import type { ScopeRef } from '../access/types.ts';
import type { CredentialChange, CredentialChanges, Field, FieldProblems, TextContent } from './definition.ts';
import { fromReferenceObject } from './named-fields.ts';
import { readReference, type SecretInput } from './reference-input.ts';

/** Scalar fields that always hold a credential: documents hold a reference or a placeholder, never what was typed. */

/** As a document holds it. */
export type HeldCredential =
  | {
      readonly secret: ReferenceObject;
      /** The secret was typed here and belongs to the configuration. */
      readonly isOwned?: true;
      readonly value?: never;
    }
  | {
      /** A text with placeholders, as it was written. */
      readonly value: string;
      readonly secret?: never;
      readonly isOwned?: never;
    };

/** As it is sent: one of its parts. */
export interface CredentialInput {
  readonly set?: string;
  readonly value?: string;
  readonly secret?: SecretInput;
  readonly keep?: true;
  readonly clear?: true;
}

/** What a document says of its credential fields, by their names. */
export type Credentials = Readonly<Record<string, HeldCredential | undefined>>;

/** What was sent of these fields; what is left out, or sent as `keep`, is not in the answer. */
export function readCredentials(
  input: Readonly<Record<string, CredentialInput | undefined>>,
  scope: ScopeRef,
  problems: FieldProblems,
): CredentialChanges {
  const changes = new Map<string, CredentialChange>();
  for (const [name, sent] of Object.entries(input)) {
    if (sent === undefined) continue;
    const change = readCredential(sent, `/${name}`, scope, problems);
    if (change !== undefined) changes.set(name, change);
  }
  return changes;
}

/** What was sent of one; `undefined`: it is kept, or there is a problem. */
export function readCredential(
  sent: CredentialInput,
  pointer: string,
  scope: ScopeRef,
  problems: FieldProblems,
): CredentialChange | undefined {
  const given = Object.keys(sent);
  if (given.length !== 1) {
    problems.add(pointer, 'Give one of "set" (or "value"), "secret", "keep" and "clear".');
    return undefined;
  }
  if (sent.clear === true) return { kind: 'clear' };
  if (sent.secret !== undefined) {
    const reference = readReference(sent.secret, `${pointer}/secret`, problems, scope);
    return reference === undefined ? undefined : { kind: 'refer', reference };
  }
  const text = sent.set ?? sent.value;
  return text === undefined ? undefined : readTyped(text, `${pointer}/${given[0]}`, problems);
}

const referenceText = /^secret:\/\/(?:domain|global|admin)\//i;

/** A text that is typed: one with placeholders stays as it was written; the text of a reference is somebody's mistake. */
function readTyped(text: string, pointer: string, problems: FieldProblems): CredentialChange | undefined {
  if (referenceText.test(text)) {
    problems.add(pointer, 'This is the text of a reference. Put it into "secret".', { code: 'reference_malformed' });
    return undefined;
  }
  if (!text.isWellFormed() || text.includes('\u0000')) {
    problems.add(pointer, 'It holds a NUL character or a lone surrogate.');
    return undefined;
  }
  const { parts, malformed } = parseText(text);
  if (malformed.length > 0) {
    problems.add(
      pointer,
      'A placeholder ${secrets.…} is not closed, or names a key that no secret can have; write $${secrets. for the text itself.',
    );
    return undefined;
  }
  if (isPlaceholderIn(text)) return { kind: 'text', text };
  const literal = parts.map((part) => (part.kind === 'literal' ? part.text : '')).join('');
  return { kind: 'set', value: SecretValue.fromText(literal) };
}

/** The places of a document's credentials. */
export function credentialFields(credentials: Credentials): Field[] {
  return Object.entries(credentials).flatMap(([name, held]): Field[] => {
    if (held === undefined) return [];
    if (held.value !== undefined) {
      const content = { kind: 'text', text: held.value, canRefer: true, isCredential: true } as const;
      return [{ pointer: `/${name}/value`, name, content }];
    }
    const reference = fromReferenceObject(held.secret);
    return [
      { pointer: `/${name}/secret`, name, content: { kind: 'reference', reference, isOwned: held.isOwned === true } },
    ];
  });
}

/** How texts are put together and used, by field. */
export type TextRules = Readonly<Record<string, Pick<TextContent, 'escape' | 'settle'>>>;

/** Scalar texts of a document in which placeholders are resolved when it is used. */
export function textFields(texts: Readonly<Record<string, string | undefined>>, rules: TextRules = {}): Field[] {
  return Object.entries(texts).flatMap(([name, text]): Field[] =>
    text === undefined
      ? []
      : [{ pointer: `/${name}`, name, content: { kind: 'text', text, isNoSecret: true, ...rules[name] } }],
  );
}

/** Whether a change leaves something in the field. */
export function isGiven(change: CredentialChange | undefined): boolean {
  return change !== undefined && change.kind !== 'clear';
}

/** What is shown of one. */
export function credentialState(held: HeldCredential | undefined) {
  if (held === undefined) return { isSet: false };
  if (held.value !== undefined) return { isSet: true, placeholder: held.value, isOwned: false };
  return { isSet: true, secret: { ...held.secret }, isOwned: held.isOwned === true };
}

/** A document's credentials. @param member of the document; absent: the document itself */
export function credentialsOf(document: unknown, names: readonly string[], member?: string): Credentials {
  const members = Object(document) as Readonly<Record<string, unknown>>;
  const held = Object(member === undefined ? members : members[member]) as Credentials;
  return Object.fromEntries(names.map((name) => [name, Object.hasOwn(held, name) ? held[name] : undefined]));
}

/** A document with other credentials. */
export function withCredentials<Document>(document: Document, credentials: Credentials, member?: string): Document {
  const held = Object.fromEntries(Object.entries(credentials).filter(([, each]) => each !== undefined));
  return member === undefined ? { ...document, ...held } : { ...document, [member]: held };
}
