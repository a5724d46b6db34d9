const typedName = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;

/**
 * The canonical form of a user's name: ASCII, lower case, no surrounding blanks. `null` for what can't be one. The check
 * comes before folding: lower-casing the Kelvin sign gives an ASCII `k`.
 */
export function foldUserName(typed: string): string | null {
  const name = typed.trim();
  return typedName.test(name) ? name.toLowerCase() : null;
}
