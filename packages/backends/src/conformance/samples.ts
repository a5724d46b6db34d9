import { randomBytes } from 'node:crypto';
import { SecretValue } from '@strongroom/crypto';
import type { Content } from '../backend.ts';
import type { Trial } from './trial.ts';

/** Texts that stores and their clients like to change. Each holds a canary, so that no two contents are alike. */
export const textSamples: Readonly<Record<string, (canary: string) => readonly string[]>> = {
  text: (canary) => [canary, `${canary} with "quotes", \\ and 'apostrophes' / + & % $ { } #`],
  unicode: (canary) => [`${canary} schlüssel 鍵 🔑 e\u0301 \u{1F469}\u200D\u{1F4BB} \u2028 \uFFFD`, `\uFEFF${canary}`],
  whitespace: (canary) => [` ${canary}`, `${canary} `, `${canary}\n`, `\t\r\n ${canary}\r\n\n`, '\n', ' '],
  'look-alike': (canary) => [
    `{"canary":"${canary}"}`,
    `{ "b":"${canary}", "a":1 }`,
    `["${canary}"]`,
    `"${canary}"`,
    'null',
    'true',
    '0',
    '1e400',
    `%41${canary}`,
    `&amp;${canary}`,
    Buffer.from(canary).toString('base64'),
    `-----BEGIN X-----\n${canary}\n-----END X-----\n`,
  ],
};

/** The contents of a sample in the place's simplest shape. */
export function sampleContents(trial: Trial, name: keyof typeof textSamples): Content[] {
  return (textSamples[name]?.(trial.text()) ?? []).map((text) => trial.content(text));
}

/** Bytes that are no text: every byte, NUL in front and behind, what looks like a byte order mark. */
export function binaryContents(): Content[] {
  const every = Uint8Array.from({ length: 256 }, (_, index) => index);
  const parts = [every, Uint8Array.of(0, 255, 0), Uint8Array.of(0xff, 0xfe, 0x41), randomBytes(512)];
  return parts.map((bytes) => ({ value: SecretValue.fromBytes(bytes), shape: 'binary' }));
}

/** Fields whose names objects of JavaScript treat specially, in an order that it would change. */
export function fieldsContents(trial: Trial): Content[] {
  const canary = trial.text();
  const texts = [
    `{"password":"${canary}","username":"app"}`,
    `{"zeta":"1 ${canary}","__proto__":"2","10":"3","9":"4","constructor":"5","Zeta":"6","toString":"7"}`,
    `{"blank":" ${canary} ","line":"\\n${canary}\\n","unicode":"schlüssel 鍵"}`,
  ];
  return texts.map((text) => ({ value: SecretValue.fromText(text), shape: 'fields' }));
}

/** A text of just so many bytes; of two bytes a character where `isWide`. */
export function sized(trial: Trial, bytes: number, isWide = false): Content {
  const shape = trial.context.shapes?.[0] ?? 'text';
  const [before, after] = shape === 'fields' ? ['{"value":"', '"}'] : ['', ''];
  const rest = Math.max(0, bytes - before.length - after.length);
  const seed = trial.text().slice(0, Math.min(40, rest));
  const wide = isWide ? Math.floor((rest - seed.length) / 2) : 0;
  const text = `${seed}${'é'.repeat(wide)}`.concat('x'.repeat(rest - seed.length - wide * 2));
  return { value: SecretValue.fromText(`${before}${text}${after}`), shape };
}
