import { isUtf8 } from 'node:buffer';
import { ByteSink, isAlphanumeric } from './bytes.ts';

/**
 * Takes one encoded form of a value. The view is only valid during the call. `borderLeft` and `borderRight` say that
 * one more base64 character on that side holds some of the value's bits.
 */
export type FormSink = (form: Uint8Array, borderLeft: boolean, borderRight: boolean) => void;

const BASE64_STANDARD = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const BASE64_URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const HEX_LOWER = '0123456789abcdef';
const HEX_UPPER = '0123456789ABCDEF';

/**
 * Characters that an encoder leaves as they are, beside letters and digits: encodeURIComponent (ECMA-262), encodeURI,
 * RFC 3986 unreserved, the same with `/` (Python's `quote`), application/x-www-form-urlencoded (WHATWG URL).
 */
const URL_SAFE_SETS = ["-_.!~*'()", "-_.!~*'();/?:@&=+$,#", '-_.~', '-_.~/', '*-._'];

/** What a JSON encoder escapes beyond RFC 8259's minimum. */
interface JsonStyle {
  slash: boolean;
  ascii: boolean;
  html: boolean;
  hex: string;
}

/** JSON.stringify's own. */
const PLAIN_JSON: JsonStyle = { slash: false, ascii: false, html: false, hex: HEX_LOWER };

const JSON_STYLES: readonly JsonStyle[] = [HEX_LOWER, HEX_UPPER].flatMap((hex) =>
  [false, true].flatMap((ascii) =>
    [false, true].flatMap((slash) => [false, true].map((html) => ({ slash, ascii, html, hex }))),
  ),
);

/** Emits every form of `value` that is searched for: raw first, duplicates possible. */
export function emitForms(value: Uint8Array, emit: FormSink): void {
  const scratch = new ByteSink(value.length * 6 + 16);
  emit(value, false, false);
  emitBase64(value, scratch, emit);
  emitHex(value, scratch, emit);
  emitUrl(value, scratch, emit);
  emitJson(value, scratch, emit);
  scratch.clear();
}

/**
 * Base64 at the three alignments a value can have inside a larger encoded text: the characters made of the value's bits
 * alone. A character that shares bits with a neighbour is reported as a border.
 */
function emitBase64(value: Uint8Array, scratch: ByteSink, emit: FormSink): void {
  for (const alphabet of [BASE64_STANDARD, BASE64_URL]) {
    for (let alignment = 0; alignment < 3; alignment++) {
      const firstBit = alignment * 8;
      const endBit = firstBit + value.length * 8;
      const firstChar = Math.ceil(firstBit / 6);
      const endChar = Math.floor(endBit / 6);
      scratch.clear();
      for (let char = firstChar; char < endChar; char++) {
        const bit = char * 6 - firstBit;
        const byte = bit >> 3;
        const pair = ((value[byte] ?? 0) << 8) | (value[byte + 1] ?? 0);
        scratch.push(alphabet.charCodeAt((pair >> (10 - (bit & 7))) & 63));
      }
      emit(scratch.view(), firstChar * 6 !== firstBit, endChar * 6 !== endBit);
    }
  }
}

function emitHex(value: Uint8Array, scratch: ByteSink, emit: FormSink): void {
  for (const digits of [HEX_LOWER, HEX_UPPER]) {
    scratch.clear();
    for (const byte of value) pushHexByte(scratch, byte, digits);
    emit(scratch.view(), false, false);
  }
}

function emitUrl(value: Uint8Array, scratch: ByteSink, emit: FormSink): void {
  for (const digits of [HEX_LOWER, HEX_UPPER]) {
    for (const safe of URL_SAFE_SETS) {
      for (const plus of [false, true]) {
        scratch.clear();
        for (const byte of value) {
          if (plus && byte === 0x20) scratch.push(0x2b);
          else if (isAlphanumeric(byte) || safe.includes(String.fromCharCode(byte))) scratch.push(byte);
          else pushPercent(scratch, byte, digits);
        }
        emit(scratch.view(), false, false);
        if (!value.includes(0x20)) break;
      }
    }
    scratch.clear();
    for (const byte of value) pushPercent(scratch, byte, digits);
    emit(scratch.view(), false, false);
  }
}

/** JSON strings can't hold bytes that aren't UTF-8, so such a value has no JSON form. */
function emitJson(value: Uint8Array, scratch: ByteSink, emit: FormSink): void {
  if (!isUtf8(value)) return;
  const nested = new ByteSink(value.length * 2 + 16);
  const needs = jsonNeeds(value);
  for (const style of JSON_STYLES) {
    // A style that differs from another only where this value has nothing to escape makes the same bytes again.
    if (!needs.escapes && (style.slash || style.ascii || style.html || style.hex === HEX_UPPER)) continue;
    if ((style.slash && !needs.slash) || (style.html && !needs.html) || (style.ascii && !needs.ascii)) continue;
    scratch.clear();
    escapeJson(value, style, scratch);
    emit(scratch.view(), false, false);
    for (const outer of [style, PLAIN_JSON]) {
      nested.clear();
      escapeJson(scratch.view(), outer, nested);
      emit(nested.view(), false, false);
    }
    scratch.clear();
    escapeJson(value, PLAIN_JSON, scratch);
    nested.clear();
    escapeJson(scratch.view(), style, nested);
    emit(nested.view(), false, false);
  }
  nested.clear();
}

function jsonNeeds(value: Uint8Array): { escapes: boolean; slash: boolean; ascii: boolean; html: boolean } {
  const needs = { escapes: false, slash: false, ascii: false, html: false };
  for (const byte of value) {
    if (byte === 0x2f) needs.slash = true;
    else if (byte >= 0x80) needs.ascii = true;
    else if (byte === 0x3c || byte === 0x3e || byte === 0x26) needs.html = true;
    else if (byte >= 0x20 && byte !== 0x22 && byte !== 0x5c && byte !== 0x7f) continue;
    needs.escapes = true;
  }
  return needs;
}

const JSON_SHORT_ESCAPES = new Map([
  [0x08, 'b'],
  [0x09, 't'],
  [0x0a, 'n'],
  [0x0c, 'f'],
  [0x0d, 'r'],
  [0x22, '"'],
  [0x5c, '\\'],
]);

/** RFC 8259 section 7, as JSON.stringify writes it, plus what `style` asks for. `value` is valid UTF-8. */
function escapeJson(value: Uint8Array, style: JsonStyle, sink: ByteSink): void {
  for (let index = 0; index < value.length; index++) {
    const byte = value[index] ?? 0;
    const short = JSON_SHORT_ESCAPES.get(byte);
    if (short !== undefined || (style.slash && byte === 0x2f)) {
      sink.push(0x5c);
      sink.pushAscii(short ?? '/');
    } else if (byte < 0x20 || (style.html && (byte === 0x3c || byte === 0x3e || byte === 0x26))) {
      pushUnicodeEscape(sink, byte, style.hex);
    } else if (byte < 0x80) {
      sink.push(byte);
    } else {
      const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      const codePoint = decodeUtf8(value, index, length);
      // Go and PHP escape the two line separators even where they keep other characters.
      if (style.ascii || (style.html && (codePoint === 0x2028 || codePoint === 0x2029))) {
        if (codePoint > 0xffff) {
          pushUnicodeEscape(sink, 0xd800 + ((codePoint - 0x10000) >> 10), style.hex);
          pushUnicodeEscape(sink, 0xdc00 + ((codePoint - 0x10000) & 0x3ff), style.hex);
        } else pushUnicodeEscape(sink, codePoint, style.hex);
      } else for (let part = 0; part < length; part++) sink.push(value[index + part] ?? 0);
      index += length - 1;
    }
  }
}

function decodeUtf8(value: Uint8Array, index: number, length: number): number {
  let codePoint = (value[index] ?? 0) & (0xff >> (length + 1));
  for (let part = 1; part < length; part++) codePoint = (codePoint << 6) | ((value[index + part] ?? 0) & 0x3f);
  return codePoint;
}

function pushHexByte(sink: ByteSink, byte: number, digits: string): void {
  sink.push(digits.charCodeAt(byte >> 4));
  sink.push(digits.charCodeAt(byte & 15));
}

function pushPercent(sink: ByteSink, byte: number, digits: string): void {
  sink.push(0x25);
  pushHexByte(sink, byte, digits);
}

function pushUnicodeEscape(sink: ByteSink, unit: number, digits: string): void {
  sink.push(0x5c);
  sink.push(0x75);
  pushHexByte(sink, unit >> 8, digits);
  pushHexByte(sink, unit & 0xff, digits);
}
