/**
 * Segments of paths that other systems keep secrets under. A segment can't climb, and no server on the way can read it in
 * two ways: it isn't empty, `.` or `..`, and holds no `/`, `\`, `%`, no control character and no line separator.
 */
const maxPathSegmentLength = 253;

const segment = String.raw`(?!\.{1,2}(?:/|$))[^/\\%\u0000-\u001f\u007f-\u009f\u2028\u2029]{1,${maxPathSegmentLength}}`;

/** One or more segments with `/` between them, without anchors: a part of schemas' patterns. */
export const pathSegmentsPattern = `${segment}(?:/${segment})*`;

const wholeSegment = new RegExp(`^${segment}$`);

export function isPathSegment(text: string): boolean {
  return wholeSegment.test(text) && text.isWellFormed();
}

/** Whether the text is one or more segments with `/` between them. */
export function isPath(text: string): boolean {
  return text.split('/').every(isPathSegment);
}
