/**
 * Text of others on a terminal: descriptions and names are free text, and a terminal obeys what it prints. Control
 * characters, line separators and what turns the writing direction are shown by their code point instead.
 */
export function visible(text: string): string {
  return text.replaceAll(
    /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/** Columns a text takes on a terminal: marks take none, East Asian wide characters and emoji two (UAX #11). */
export function columnsOf(text: string): number {
  let columns = 0;
  for (const character of text) columns += columnsOfCharacter(character);
  return columns;
}

function columnsOfCharacter(character: string): number {
  if (character <= '\u02ff') return 1;
  if (/\p{Mn}|\p{Me}|\u200b|\u200c|\u200d|\ufe0f/u.test(character)) return 0;
  return /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\uff01-\uff60]/u.test(
    character,
  )
    ? 2
    : 1;
}

/** Cuts a text to a width, with `…` where it was cut. */
export function cutTo(text: string, width: number): string {
  if (columnsOf(text) <= width) return text;
  let cut = '';
  let columns = 0;
  for (const character of text) {
    columns += columnsOfCharacter(character);
    if (columns > width - 1) break;
    cut += character;
  }
  return `${cut}…`;
}

/** A text in lines of a width: it ends them at blanks, else behind what parts a name, else anywhere. */
export function wrapTo(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let rest = text;
  while (columnsOf(rest) > width) {
    const fit = fitting(rest, width);
    const blank = rest.slice(0, fit.length + 1).lastIndexOf(' ');
    const part = /^.*[/#,:;=](?!\/)/su.exec(fit)?.[0].length ?? 0;
    const end = blank > 0 ? blank : part > 0 ? part : fit.length;
    lines.push(rest.slice(0, end).trimEnd());
    rest = rest.slice(end).trimStart();
  }
  return [...lines, rest];
}

/** As many characters of a text as fit, one at least. */
function fitting(text: string, width: number): string {
  let end = 0;
  let columns = 0;
  for (const character of text) {
    columns += columnsOfCharacter(character);
    if (columns > width && end > 0) break;
    end += character.length;
  }
  return text.slice(0, end);
}

export function padTo(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - columnsOf(text)));
}

/** `2026-07-01 14:03` in the local zone; `-` for no time. RFC 3339 is in --json. */
export function localTime(time: string | null | undefined): string {
  if (time === null || time === undefined) return '-';
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return visible(time);
  const two = (part: number): string => String(part).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** `1 field`, `3 fields`. */
export function count(number: number, singular: string, plural = `${singular}s`): string {
  return `${number} ${number === 1 ? singular : plural}`;
}

/** `850 ms`, `12 s`, `3 min 5 s`. */
export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${milliseconds} ms`;
  const seconds = Math.round(milliseconds / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
