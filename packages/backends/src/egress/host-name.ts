const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/**
 * Whether the text is a host name, lower case: labels of letters, digits, `-` and `_` (RFC 1123 §2.1; container names have
 * `_`), 253 characters at most, no final dot. A last label that is a number makes it an IPv4 address to the WHATWG URL
 * parser («ends in a number») and to `inet_aton`: `127.1`, `0x7f.1`, `2130706433`. Such a text is no name.
 */
export function isHostName(text: string): boolean {
  const labels = text.split('.');
  return (
    text.length <= 253 && labels.every((part) => label.test(part)) && !/^(?:\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? '')
  );
}

/** `localhost` and names below it mean this machine and are never looked up (RFC 6761 §6.3). */
export function isLoopbackName(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost');
}
