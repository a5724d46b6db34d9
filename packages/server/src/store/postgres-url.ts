/** Values of libpq's `target_session_attrs` that mean the server which takes writes: no other is of use here. */
const writableTargets: ReadonlySet<string> = new Set(['read-write', 'primary']);

/**
 * A URL with several hosts as one URL for each, in their order. As in libpq they stand in the address (`a:5432,b:5432`) or in
 * the parameters (`?host=/run/a,/run/b&port=5432,5433`), https://www.postgresql.org/docs/current/libpq-connect.html.
 *
 * @returns undefined for what is no such URL, or asks for another server than the one that takes writes
 */
export function postgresHostUrls(text: string): readonly string[] | undefined {
  const [, scheme = '', account = '', hosts = '', rest = ''] =
    /^(postgres(?:ql)?:\/\/)([^/?#]*@)?([^/?#]*)(.*)$/su.exec(text) ?? [];
  if (scheme === '') return undefined;
  const listed = hosts.split(',').map((host) => `${scheme}${account}${host}${rest}`);
  if (!listed.every((url) => URL.canParse(url))) return undefined;
  const [only] = listed;
  const parameters = new URL(only ?? '').searchParams;
  const target = parameters.get('target_session_attrs');
  if (target !== null && !writableTargets.has(target)) return undefined;
  const named = parameters.get('host')?.split(',') ?? [];
  if (named.length < 2) return listed;
  const ports = parameters.get('port')?.split(',') ?? [];
  if (ports.length > 1 && ports.length !== named.length) return undefined;
  return named.map((host, index) => {
    const one = new URL(only ?? '');
    one.searchParams.set('host', host);
    const port = ports[index] ?? ports[0];
    if (port !== undefined) one.searchParams.set('port', port);
    return one.href;
  });
}
